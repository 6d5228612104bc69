package io.lockstep.perf.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import javax.xml.parsers.DocumentBuilderFactory;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.w3c.dom.Document;

/** The report says what was measured, and what was not. */
class BenchReportTest {
    private static final BenchContext CONTEXT =
            new BenchContext(Path.of(""), Path.of(""), "tcg", true, false, new SharedLab(List.of()));

    private final ByteArrayOutputStream printed = new ByteArrayOutputStream();
    private final BenchReport report = new BenchReport(
            new Machine("6.18", "QEMU 7.2", "17", "EPYC", 2, 24_000, "tcg"),
            new PrintStream(printed, true, StandardCharsets.UTF_8));

    @TempDir
    Path directory;

    /** A section that gives what it is told to. */
    private record Given(String name, Body body) implements Section {
        @Override
        public int quickSeconds() {
            return 1;
        }

        @Override
        public void run(BenchContext context, BenchReport report) throws Exception {
            body.run(report);
        }

        interface Body {
            void run(BenchReport report) throws Exception;
        }
    }

    @Test
    void shouldGiveRatiosAndVerdictsThatFollowFromTheNumbers() throws Exception {
        BenchReport written = report;
        BenchCommand.measure(
                List.of(new Given("pause", into -> {
                    into.add(Figure.of("pause", "p50", 1.5, "ms")
                            .against("floor", 2.0)
                            .atMost(1.0));
                    into.add(Figure.of("pause", "p99", 9.0, "ms")
                            .against("p50", 1.5)
                            .atMost(3));
                    into.add(Figure.of("pause", "rate", 3.0, "MB/s")
                            .against("QEMU", 2.0)
                            .atLeast(1.2));
                    into.add(Figure.of("pause", "nothing", 3.0, "B")
                            .against("nothing", 0)
                            .atLeast(1));
                    into.add(Figure.of("pause", "alone", 7.0, "ms"));
                })),
                CONTEXT,
                written,
                null);
        written.write(directory);
        JsonNode json =
                new ObjectMapper().readTree(directory.resolve("report.json").toFile());
        int judged = 0;
        for (JsonNode figure : json.path("figures")) {
            if (figure.has("ratio")) {
                double ratio = figure.path("value").asDouble()
                        / figure.path("reference").asDouble();
                assertThat(figure.path("ratio").asDouble()).isCloseTo(ratio, within(1e-12));
                String goal = figure.path("goal").asText();
                double bound = Double.parseDouble(goal.substring(3));
                assertThat(figure.path("met").asBoolean())
                        .as(goal)
                        .isEqualTo(goal.startsWith("<=") ? ratio <= bound : ratio >= bound);
                judged++;
            }
        }
        assertThat(judged).isEqualTo(3);
        assertThat(json.path("figures")).hasSize(5);
        assertThat(json.path("failures")).isEmpty();
        // Without a reference there is no ratio, and nothing is met.
        assertThat(json.path("figures").get(3).has("ratio")).isFalse();
        assertThat(json.path("figures").get(3).path("met").asBoolean()).isFalse();
        assertThat(json.path("machine").path("kernel").asText()).isEqualTo("6.18");
        assertThat(Files.readString(directory.resolve("report.md")))
                .contains("| pause | p50 | 1.50 | ms | floor 2.00 | 0.75 (<= 1.0, met) |")
                .contains("| pause | p99 | 9.00 | ms | p50 1.50 | 6.00 (<= 3.0, short) |")
                .contains("Kernel 6.18, QEMU 7.2, JDK 17, 2 × EPYC, 24000 MiB, tcg");
        assertThat(written.complete()).isTrue();
    }

    @Test
    void shouldSayWhyAndGoOnWhenASectionFails() throws Exception {
        BenchCommand.measure(
                List.of(
                        new Given("moves", into -> {
                            throw new IllegalStateException("QEMU's migration failed: no route");
                        }),
                        new Given("bytes", into -> into.add(Figure.of("bytes", "sent", 1, "kB")))),
                CONTEXT,
                report,
                null);
        report.write(directory);
        JsonNode json =
                new ObjectMapper().readTree(directory.resolve("report.json").toFile());
        assertThat(report.complete()).isFalse();
        assertThat(json.path("failures").get(0).asText()).contains("moves").contains("no route");
        assertThat(json.path("figures").get(0).path("section").asText()).isEqualTo("bytes");
        assertThat(Files.readString(directory.resolve("report.md"))).contains("Not measured: moves");
        assertThat(printed.toString(StandardCharsets.UTF_8))
                .contains("moves failed")
                .contains("no route");
    }

    @Test
    void shouldHaveWrittenEachSectionBeforeTheNextOneBegins() throws Exception {
        List<String> found = new ArrayList<>();
        BenchCommand.measure(
                List.of(
                        new Given("bytes", into -> into.add(Figure.of("bytes", "sent", 1, "kB"))),
                        new Given("api", into -> {
                            found.add(Files.readString(directory.resolve("report.md")));
                            found.add(Files.readString(directory.resolve("report.json")));
                        })),
                CONTEXT,
                report,
                directory);
        assertThat(report.complete()).isTrue();
        assertThat(found.get(0)).contains("| bytes | sent | 1.00 | kB |");
        assertThat(new ObjectMapper().readTree(found.get(1)).path("figures")).hasSize(1);
        try (Stream<Path> files = Files.list(directory)) {
            assertThat(files.map(file -> file.getFileName().toString()))
                    .containsExactlyInAnyOrder("report.json", "report.md");
        }
    }

    @Test
    void shouldJudgeWhatEachPageAllocatesByTheHarness() throws Exception {
        new MicroSection()
                .report(
                        report,
                        Map.of(
                                "MemoryBenchmark.memcpy 256", new MicroSection.Measured(100, 0.1),
                                "MemoryBenchmark.capture 256", new MicroSection.Measured(100, 1.2),
                                "EncoderBenchmark.encode LZ4 256", new MicroSection.Measured(4_100, 4),
                                "Lz4Benchmark.compress native true", new MicroSection.Measured(2_000, 9)));
        report.write(directory);
        assertThat(Files.readString(directory.resolve("report.md")))
                .contains("capture 256: allocated | 1.20 | B/page | the harness's own 1.00 | 1.20 (<= 1.0, short) |")
                .contains("LZ4 256: allocated | 4.00 | B/page | the harness's own 4.10 | 0.98 (<= 1.0, met) |")
                .contains("true: allocated | 9.00 | B/page | the harness's own 2.00 | 4.50 |")
                .contains("LZ4: without its copy | 4,000 | ns | the library alone 2,000 | 2.00 |");
    }

    @Test
    void shouldTakeMeansFromWhatTwoReadingsDifferIn() throws Exception {
        Counters before = new Counters("""
                lockstep_dirty_pages_bucket{vm="a",le="+Inf"} 10
                lockstep_dirty_pages_sum{vm="a"} 5000
                lockstep_dirty_pages_count{vm="a"} 10
                """);
        Counters after = new Counters("""
                lockstep_dirty_pages_sum{vm="ab"} 1
                lockstep_dirty_pages_count{vm="ab"} 1
                lockstep_dirty_pages_sum{vm="a"} 5300
                lockstep_dirty_pages_count{vm="a"} 13
                """);
        assertThat(after.pagesAnEpoch(before, "a")).isEqualTo(100);
        assertThat(after.pagesAnEpoch(after, "a")).isZero();
        assertThatThrownBy(() -> after.pauseMs(before, "a"))
                .hasMessage("the agent's metrics have no lockstep_pause_seconds_count{vm=\"a\"}");
    }

    @Test
    void shouldWritePlotsThatAreWellFormedAndNamedInTheReport() throws Exception {
        report.add(new Plot("pause", "Pause <by> pages & time", "pages", "ms", true)
                .series("p50", new double[] {1, 100, 1_000}, new double[] {1, 2, 3})
                .series("p99", new double[] {1, 100, 1_000}, new double[] {2, 3, 9}));
        report.write(directory);
        DocumentBuilderFactory factory = DocumentBuilderFactory.newInstance();
        factory.setFeature("http://apache.org/xml/features/nonvalidating/load-external-dtd", false);
        Document svg = factory.newDocumentBuilder()
                .parse(directory.resolve("pause.svg").toFile());
        assertThat(svg.getDocumentElement().getTagName()).isEqualTo("svg");
        assertThat(svg.getElementsByTagName("path").getLength()).isGreaterThan(4);
        assertThat(Files.readString(directory.resolve("report.md"))).contains("![pause.svg](pause.svg)");
    }

    @Test
    void shouldTakeTheCopyOffBeforeAnEncoderIsHeldAgainstMemcpy() throws Exception {
        new MicroSection()
                .report(
                        report,
                        Map.of(
                                "MemoryBenchmark.memcpy 256", new MicroSection.Measured(80, 0),
                                "MemoryBenchmark.capture 256", new MicroSection.Measured(100, 0),
                                "EncoderBenchmark.encode UNCHANGED 256", new MicroSection.Measured(100, 0),
                                "EncoderBenchmark.encode DELTA_SPARSE 256", new MicroSection.Measured(280, 0)));
        report.write(directory);
        assertThat(Files.readString(directory.resolve("report.md")))
                .contains("its time 100 | 0.80 (>= 0.6, met)")
                .contains("without its copy 180 | 0.44 (>= 0.4, met)");
    }
}
