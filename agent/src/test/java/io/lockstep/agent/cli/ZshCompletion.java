package io.lockstep.agent.cli;

import java.util.List;
import picocli.CommandLine;
import picocli.CommandLine.Model.OptionSpec;

/** The command line's completion for zsh, which has its own way of saying what picocli knows. */
final class ZshCompletion {
    private ZshCompletion() {}

    static String of(CommandLine lockstep) {
        StringBuilder text = new StringBuilder("#compdef lockstep\n_lockstep() {\n    local -a commands\n");
        text.append("    if ((CURRENT == 2)); then\n");
        describe(text, "        ", DistFilesTest.visible(lockstep));
        text.append("        return\n    fi\n    case $words[2] in\n");
        for (CommandLine command : DistFilesTest.visible(lockstep)) {
            text.append("        ").append(command.getCommandName()).append(")\n");
            List<CommandLine> nested = DistFilesTest.visible(command);
            if (!nested.isEmpty()) {
                text.append("            if ((CURRENT == 3)) && [[ $words[3] != -* ]]; then\n");
                describe(text, "                ", nested);
                text.append("                return\n            fi\n");
            }
            text.append("            _arguments -s");
            for (OptionSpec option : command.getCommandSpec().options()) {
                option(text, option);
            }
            text.append(" \\\n                '*:argument:_default'\n            ;;\n");
        }
        return text.append("    esac\n}\n_lockstep \"$@\"\n").toString();
    }

    private static void describe(StringBuilder text, String indent, List<CommandLine> commands) {
        text.append(indent).append("commands=(\n");
        for (CommandLine command : commands) {
            String description =
                    String.join(" ", command.getCommandSpec().usageMessage().description());
            text.append(indent).append("    '").append(command.getCommandName()).append(':');
            text.append(quoted(description.replace(":", "\\:"))).append("'\n");
        }
        text.append(indent).append(")\n");
        text.append(indent).append("_describe -t commands 'lockstep command' commands\n");
    }

    private static void option(StringBuilder text, OptionSpec option) {
        for (String name : option.names()) {
            if (name.startsWith("--")) {
                String description = String.join(" ", option.description()).replaceAll("([\\[\\]:])", "\\\\$1");
                text.append(" \\\n                '").append(name);
                text.append('[').append(quoted(description)).append(']');
                if (option.arity().max() > 0) {
                    text.append(':').append(option.paramLabel()).append(":_default");
                }
                text.append('\'');
            }
        }
    }

    private static String quoted(String text) {
        return text.replace("'", "'\\''");
    }
}
