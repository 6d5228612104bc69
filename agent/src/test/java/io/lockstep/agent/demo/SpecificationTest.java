package io.lockstep.agent.demo;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

class SpecificationTest {
    private static final Pattern NAMED = Pattern.compile("`(\\w+Test)\\.(should\\w+)`");

    @Test
    void shouldNameOnlyTestsThatExistWhenAPromiseIsMade() throws IOException {
        Path project = Path.of(System.getProperty("lockstep.project", ""));
        Map<String, String> sources = testSources(project);
        TreeSet<String> missing = new TreeSet<>();
        int named = 0;
        Matcher matcher = NAMED.matcher(Files.readString(project.resolve("agent/docs/SPECIFICATION.md")));
        while (matcher.find()) {
            named++;
            if (!sources.getOrDefault(matcher.group(1), "").contains(" " + matcher.group(2) + "(")) {
                missing.add(matcher.group(1) + "." + matcher.group(2));
            }
        }

        assertThat(missing).isEmpty();
        assertThat(named).isPositive();
    }

    private static Map<String, String> testSources(Path project) throws IOException {
        Map<String, String> sources = new HashMap<>();
        for (String module : new String[] {"native-bindings", "replication", "telemetry", "agent", "perf"}) {
            Path tests = project.resolve(module).resolve("src/test/java");
            if (Files.isDirectory(tests)) {
                try (Stream<Path> files = Files.walk(tests)) {
                    for (Path file : files.filter(path -> path.toString().endsWith("Test.java"))
                            .toList()) {
                        String name = file.getFileName().toString();
                        sources.put(name.substring(0, name.length() - ".java".length()), Files.readString(file));
                    }
                }
            }
        }
        return sources;
    }
}
