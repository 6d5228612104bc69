package io.lockstep.agent.manual;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** The manual says what is there: its links lead somewhere, and it knows every state and every error. */
class ManualTest {
    private static final Pattern LINK = Pattern.compile("\\]\\(([^)#: ]+)(?:#[^)]*)?\\)");

    /** Where a code is made: an exception, or a method that makes one. */
    private static final Pattern CODE = Pattern.compile(
            "(?:\\w*Exception|super|corrupt|error|fail|failed|failure|ErrorView|Problem)\\(\\s*(?:\\d+,\\s*)?(?:[\\w.\\[\\]()]+ \\?\\s*)?"
                    + "\"([a-z0-9]+(?:-[a-z0-9]+)+)\"(?:\\s*:\\s*\"([a-z0-9]+(?:-[a-z0-9]+)+)\")?");

    private static final Pattern DOCUMENTED = Pattern.compile("`([a-z0-9]+(?:-[a-z0-9]+)+)`");
    private static final Pattern STATE =
            Pattern.compile("^    ([A-Z_]+)\\((\\d+)(?:, \"([a-z-]+)\")?", Pattern.MULTILINE);

    @Test
    void shouldKnowEveryErrorOfTheCode() throws IOException {
        Map<String, String> made = new TreeMap<>();
        for (Path source : sources()) {
            Matcher codes = CODE.matcher(Files.readString(source));
            while (codes.find()) {
                for (int group = 1; group <= 2; group++) {
                    if (codes.group(group) != null) {
                        made.put(codes.group(group), source.getFileName().toString());
                    }
                }
            }
        }
        TreeSet<String> documented = new TreeSet<>();
        for (String line : Files.readAllLines(Manual.project().resolve("agent/docs/errors.md"))) {
            if (line.startsWith("| `")) {
                Matcher codes = DOCUMENTED.matcher(line.substring(0, line.indexOf('|', 1)));
                while (codes.find()) {
                    documented.add(codes.group(1));
                }
            }
        }

        assertThat(made).hasSizeGreaterThan(100);
        assertThat(made.entrySet().stream().filter(code -> !documented.contains(code.getKey())))
                .as("codes of the source that agent/docs/errors.md does not have")
                .isEmpty();
    }

    @Test
    void shouldKnowEveryStateWithItsNumber() throws IOException {
        String operations = Files.readString(Manual.project().resolve("agent/docs/operations.md"));
        int known = 0;
        for (String name : List.of("protection/ProtectionState.java", "replica/ReplicaState.java")) {
            Path source = Manual.project()
                    .resolve("replication/src/main/java/io/lockstep/replication")
                    .resolve(name);
            Matcher states = STATE.matcher(Files.readString(source));
            while (states.find()) {
                String label = states.group(3) == null
                        ? states.group(1).toLowerCase(java.util.Locale.ROOT).replace('_', '-')
                        : states.group(3);
                assertThat(operations).contains("\n| " + label + " | " + states.group(2) + " | ");
                known++;
            }
        }
        assertThat(known).isGreaterThan(20);
    }

    @Test
    void shouldLinkToWhatIsThere() throws IOException {
        List<String> broken = new ArrayList<>();
        for (Path page : Manual.pages()) {
            Matcher links = LINK.matcher(Files.readString(page));
            while (links.find()) {
                if (!Files.exists(page.resolveSibling(links.group(1)))) {
                    broken.add(page.getFileName() + ": " + links.group(1));
                }
            }
        }
        assertThat(broken).isEmpty();
    }

    private static List<Path> sources() throws IOException {
        List<Path> sources = new ArrayList<>();
        for (String module : List.of("native-bindings", "replication", "telemetry", "agent")) {
            try (Stream<Path> files =
                    Files.walk(Manual.project().resolve(module).resolve("src/main/java"))) {
                files.filter(file -> file.toString().endsWith(".java")
                                && !file.toString().contains("/demo/"))
                        .forEach(sources::add);
            }
        }
        return sources;
    }
}
