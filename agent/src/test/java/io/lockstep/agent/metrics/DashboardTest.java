package io.lockstep.agent.metrics;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

@SuppressWarnings("StringConcatToTextBlock") // samples are clearer line by line
class DashboardTest {
    private static final Path DIST = Path.of(System.getProperty("lockstep.project", ".."), "agent/dist");
    private static final Pattern NAME = Pattern.compile("\\b(?:lockstep|node|jvm|process)_[a-z_]+\\b");

    @Test
    void shouldDrawMetricsThatExist() throws Exception {
        JsonNode dashboard = new ObjectMapper()
                .readTree(DIST.resolve("grafana/lockstep.json").toFile());
        List<String> expressions = new ArrayList<>();
        dashboard.findValues("expr").forEach(expression -> expressions.add(expression.asText()));

        assertThat(expressions).hasSizeGreaterThan(15);
        assertKnown(expressions);
    }

    @Test
    void shouldAlertOnMetricsThatExist() throws Exception {
        List<String> expressions = Files.readAllLines(DIST.resolve("prometheus/lockstep.rules.yml")).stream()
                .map(String::strip)
                .filter(line -> line.startsWith("expr: "))
                .toList();

        assertThat(expressions).hasSizeGreaterThan(8);
        assertKnown(expressions);
    }

    @Test
    void shouldRenderFamiliesLabelsAndBuckets() {
        String text = new MetricsText()
                .add(Metric.PROTECTED, 1, "vm", "a \"b\"\\\n")
                .histogram(Metric.PAUSE, new double[] {0.001, 0.5}, new long[] {1, 3}, 4, 0.75, "vm", "w")
                .render();

        assertThat(text)
                .contains("# TYPE lockstep_protected gauge\nlockstep_protected{vm=\"a \\\"b\\\"\\\\\\n\"} 1\n")
                .contains("# TYPE lockstep_pause_seconds histogram\n"
                        + "lockstep_pause_seconds_bucket{vm=\"w\",le=\"0.001\"} 1\n"
                        + "lockstep_pause_seconds_bucket{vm=\"w\",le=\"0.5\"} 3\n"
                        + "lockstep_pause_seconds_bucket{vm=\"w\",le=\"+Inf\"} 4\n"
                        + "lockstep_pause_seconds_sum{vm=\"w\"} 0.75\n"
                        + "lockstep_pause_seconds_count{vm=\"w\"} 4\n");
    }

    private static void assertKnown(List<String> expressions) {
        Set<String> known = Arrays.stream(Metric.values()).map(Metric::family).collect(Collectors.toSet());
        Set<String> named = new TreeSet<>();
        for (String expression : expressions) {
            Matcher matcher = NAME.matcher(expression);
            while (matcher.find()) {
                named.add(matcher.group().replaceAll("_(bucket|sum|count)$", ""));
            }
        }
        assertThat(named).isNotEmpty();
        assertThat(known).containsAll(named);
    }
}
