package io.lockstep.agent.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.lockstep.agent.config.ConfigurationReference;
import io.lockstep.agent.config.DefaultFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import picocli.AutoComplete;
import picocli.CommandLine;
import picocli.CommandLine.Help.Ansi;

/** The files of the package that are made from the code; {@code -Dlockstep.dist.write=true} writes them. */
@SuppressWarnings("StringConcatToTextBlock") // lines of troff are joined from parts
class DistFilesTest {
    private static final Path DIST = Path.of(System.getProperty("lockstep.project", ".."), "agent/dist/deb");

    @Test
    void shouldStandInTheTreeAsTheCodeHasThem() throws Exception {
        Map<String, String> files = new TreeMap<>();
        CommandLine lockstep = Main.commandLine();
        // A shell reads it; nobody runs it.
        files.put(
                "completion/lockstep.bash",
                AutoComplete.bash("lockstep", lockstep).replaceFirst("^#![^\n]*\n", ""));
        files.put("completion/_lockstep", ZshCompletion.of(lockstep));
        files.put("completion/lockstep.fish", fish(lockstep));
        files.put("man/lockstep.8", commands(lockstep));
        files.put("man/agent.toml.5", configuration());
        files.put("../../docs/configuration.md", ConfigurationReference.text());
        for (Map.Entry<String, String> file : files.entrySet()) {
            Path path = DIST.resolve(file.getKey());
            if (Boolean.getBoolean("lockstep.dist.write")) {
                Files.writeString(path, file.getValue());
            }
            assertThat(Files.readString(path))
                    .as("%s; run this test with -Dlockstep.dist.write=true", path)
                    .isEqualTo(file.getValue());
        }
    }

    static List<CommandLine> visible(CommandLine parent) {
        List<CommandLine> visible = new ArrayList<>();
        for (CommandLine command : parent.getSubcommands().values()) {
            if (!command.getCommandSpec().usageMessage().hidden()) {
                visible.add(command);
            }
        }
        return visible;
    }

    private static String fish(CommandLine lockstep) {
        StringBuilder text = new StringBuilder("complete -c lockstep -f\n");
        for (CommandLine command : visible(lockstep)) {
            String description =
                    String.join(" ", command.getCommandSpec().usageMessage().description());
            text.append("complete -c lockstep -n __fish_use_subcommand -a ").append(command.getCommandName());
            text.append(" -d '").append(description.replace("'", "\\'")).append("'\n");
            for (CommandLine nested : visible(command)) {
                text.append("complete -c lockstep -n '__fish_seen_subcommand_from ")
                        .append(command.getCommandName());
                text.append("' -a ").append(nested.getCommandName()).append('\n');
            }
            command.getCommandSpec().options().forEach(option -> {
                for (String name : option.names()) {
                    if (name.startsWith("--")) {
                        text.append("complete -c lockstep -n '__fish_seen_subcommand_from ")
                                .append(command.getCommandName());
                        text.append("' -l ").append(name.substring(2)).append('\n');
                    }
                }
            });
        }
        return text.toString();
    }

    private static String commands(CommandLine lockstep) {
        StringBuilder text = new StringBuilder(".TH LOCKSTEP 8 2026-11-24 Lockstep \"Administration\"\n.SH NAME\n"
                + "lockstep \\- keep a running virtual machine alive through the death of its host\n.SH SYNOPSIS\n"
                + ".B lockstep\n.I COMMAND\n[options]\n.SH DESCRIPTION\n"
                + "The agent, and the commands that talk to it over /run/lockstep/agent.sock.\n.SH COMMANDS\n");
        usages(text, lockstep);
        return text.append(
                        ".SH EXIT STATUS\n0 done; 1 failed; 2 wrong usage; 3 refused before anything was touched; 4 no agent"
                                + " answers; 5 verify found differences.\n.SH FILES\n/etc/lockstep/agent.toml, /var/lib/lockstep,"
                                + " /run/lockstep/agent.sock\n.SH SEE ALSO\n.BR agent.toml (5),\n.BR lockstep (7)\n")
                .toString();
    }

    private static void usages(StringBuilder text, CommandLine parent) {
        for (CommandLine command : visible(parent)) {
            text.append(".SS ").append(command.getCommandSpec().qualifiedName()).append("\n.nf\n");
            text.append(groff(command.getUsageMessage(Ansi.OFF))).append(".fi\n");
            usages(text, command);
        }
    }

    private static String configuration() {
        return ".TH AGENT.TOML 5 2026-11-24 Lockstep \"File formats\"\n.SH NAME\nagent.toml \\- configuration of Lockstep's agent\n"
                + ".SH DESCRIPTION\nThe file as it is installed, with every key, its default, unit, range and why:\n.PP\n.nf\n"
                + groff(DefaultFile.text()) + ".fi\n.SH SEE ALSO\n.BR lockstep (8)\n";
    }

    private static String groff(String text) {
        return text.replace("\\", "\\e").replace("-", "\\-").replaceAll("(?m)^([.'])", "\\\\&$1");
    }
}
