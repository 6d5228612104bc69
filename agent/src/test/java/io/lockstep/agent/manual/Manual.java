package io.lockstep.agent.manual;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/** README.md and agent/docs, and the commands in them: indented or fenced lines, and inline code. */
public final class Manual {
    /** What a line or a span of code begins with if it is a command; a host's prompt may stand before it. */
    private static final Pattern COMMAND =
            Pattern.compile("(?:host-[ab]# )?((?:\\./)?(?:lockstep|mvn|apt-get|systemctl|curl|virsh|ip) .*)");
    /** In a paragraph no line ends inside of it. */
    private static final Pattern SPAN = Pattern.compile("(?<!`)`([^`\n]+(?:\n[^`\n]+)?)`(?!`)");

    private static final String TWO_HOSTS = "(two hosts)";
    private static final String NOT_RUN = "(not run by a test)";

    private Manual() {}

    /**
     * A command of the manual.
     *
     * @param file in which it stands
     * @param marked whether the manual says of it that it needs two hosts, or that no test runs it
     */
    public record Command(Path file, String text, boolean marked) {
        @Override
        public String toString() {
            return file.getFileName() + ": " + text;
        }
    }

    public static Path project() {
        return Path.of(System.getProperty("lockstep.project", ".."));
    }

    static List<Path> pages() throws IOException {
        List<Path> pages = new ArrayList<>(List.of(project().resolve("README.md")));
        try (Stream<Path> files = Files.list(project().resolve("agent/docs"))) {
            files.filter(file -> file.toString().endsWith(".md")).sorted().forEach(pages::add);
        }
        return pages;
    }

    public static List<Command> commands() throws IOException {
        List<Command> commands = new ArrayList<>();
        for (Path page : pages()) {
            String text = Files.readString(page);
            boolean fenced = false;
            for (String line : text.lines().toList()) {
                fenced ^= line.startsWith("```");
                if (fenced || line.startsWith("    ")) {
                    add(commands, page, line.strip(), line);
                }
            }
            for (String paragraph : text.split("\n\\s*\n|\n(?=[*|] |\\d+\\. )", -1)) {
                if (!paragraph.startsWith("    ")) {
                    Matcher spans = SPAN.matcher(paragraph);
                    while (spans.find()) {
                        add(commands, page, spans.group(1).replaceAll("\\s+", " "), paragraph);
                    }
                }
            }
        }
        return commands;
    }

    private static void add(List<Command> commands, Path page, String text, String around) {
        Matcher command = COMMAND.matcher(text);
        if (command.matches()) {
            String bare = command.group(1)
                    .replaceAll("\\s+#.*", "")
                    .replace(TWO_HOSTS, "")
                    .replace(NOT_RUN, "")
                    .strip();
            commands.add(new Command(page, bare, around.contains(TWO_HOSTS) || around.contains(NOT_RUN)));
        }
    }
}
