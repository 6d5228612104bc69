package io.lockstep.perf.bench;

import io.lockstep.perf.Bench;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.openjdk.jmh.results.Result;
import org.openjdk.jmh.results.RunResult;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.options.Options;
import org.openjdk.jmh.runner.options.OptionsBuilder;

/**
 * JMH: encoders, applying, journal, codec and decoder, each a page of 4 KiB on one core, with what they allocate, against memcpy and LZ4. Of each
 * the best iteration counts, of memcpy as well: another's work and unlucky places in the caches only ever add to it.
 */
final class MicroSection implements Section {
    private static final String MEMCPY = "MemoryBenchmark.memcpy";
    private static final String CAPTURE = "MemoryBenchmark.capture";
    private static final String LZ4 = "EncoderBenchmark.encode LZ4";

    /** Of C, and of pages that compress; the parameters stand in either order. */
    private static final Pattern LIBRARY_LZ4 = Pattern.compile("^Lz4Benchmark\\.compress (native true|true native)$");

    /** What the path of each page runs, and must not allocate. */
    private static final Pattern FOR_EACH_PAGE =
            Pattern.compile("^(EncoderBenchmark|DecoderBenchmark|MemoryBenchmark\\.capture)");

    private static final String ALLOCATED = "gc.alloc.rate.norm";
    /** Less than this is the harness's own, which allocates for each of its iterations: the smallest object for one page in 16 would be as much. */
    private static final double NOTHING_BYTES = 1;

    /** What is held against memcpy. */
    private static final String AGAINST_MEMCPY =
            "MemoryBenchmark\\.(memcpy|capture)|EncoderBenchmark|DecoderBenchmark\\.apply";

    /** Of these that is done twice, some time apart: a machine that is slow for a while, or a JVM with unlucky pages, makes either wrong. */
    private static final String[] JUDGED_CHANGES = {"ZERO", "UNCHANGED", "DELTA_SPARSE"};

    private static final String OTHERS_QUICK = "JournalBenchmark|Lz4Benchmark\\.compress";
    private static final String OTHERS = "io\\.lockstep\\.perf\\.(?!" + AGAINST_MEMCPY + ").*";

    /** A page's share of memcpy's bandwidth that the issue asks for. */
    private static final Map<String, Double> GOALS = Map.of(
            "EncoderBenchmark.encode ZERO", 0.6,
            "EncoderBenchmark.encode UNCHANGED", 0.6,
            "EncoderBenchmark.encode DELTA_SPARSE", 0.4,
            "DecoderBenchmark.apply ZERO", 0.6,
            "DecoderBenchmark.apply RAW", 0.6,
            "DecoderBenchmark.apply DELTA_SPARSE", 0.6);

    /** These copy the page into the slot first, as the capture does; that copy is taken off before they are held against memcpy. */
    private static final List<String> COPYING = List.of("DELTA_SPARSE", "DELTA_DENSE", "LZ4", "RAW");

    @Override
    public String name() {
        return "micro";
    }

    @Override
    public int quickSeconds() {
        return 28;
    }

    @Override
    public void run(BenchContext context, BenchReport report) throws Exception {
        Map<String, Measured> all = new TreeMap<>();
        boolean quick = context.quick();
        Options first = Bench.options(AGAINST_MEMCPY, quick);
        Options others = Bench.options(quick ? OTHERS_QUICK : OTHERS, quick);
        Options again = new OptionsBuilder()
                .parent(first)
                .param("change", JUDGED_CHANGES)
                .build();
        for (Options options : List.of(first, others)) {
            for (RunResult result : new Runner(options).run()) {
                all.put(name(result), measured(result));
            }
        }
        for (RunResult result : new Runner(again).run()) {
            all.computeIfPresent(name(result), (name, before) -> before.best(measured(result)));
        }
        report(report, all);
    }

    /**
     * @param ns of one call, for one page, in the best iteration
     * @param bytes allocated by one call
     */
    record Measured(double ns, double bytes) {
        private Measured best(Measured other) {
            return new Measured(Math.min(ns, other.ns), Math.max(bytes, other.bytes));
        }
    }

    private static Measured measured(RunResult result) {
        Result<?> allocated = result.getSecondaryResults().get(ALLOCATED);
        return new Measured(
                result.getPrimaryResult().getStatistics().getMin(),
                allocated == null ? Double.NaN : allocated.getScore());
    }

    private static String name(RunResult result) {
        String full = result.getParams().getBenchmark();
        String method = full.substring(full.lastIndexOf('.', full.lastIndexOf('.') - 1) + 1);
        List<String> values = new ArrayList<>();
        for (String key : result.getParams().getParamsKeys()) {
            values.add(result.getParams().getParam(key));
        }
        return values.isEmpty() ? method : method + " " + String.join(" ", values);
    }

    /** Package-private for its test. */
    void report(BenchReport report, Map<String, Measured> all) {
        for (Map.Entry<String, Measured> entry : all.entrySet()) {
            String benchmark = entry.getKey();
            double ns = entry.getValue().ns;
            report.add(Figure.of(name(), benchmark, ns, "ns"));
            double bytes = entry.getValue().bytes;
            Figure allocated = Figure.of(name(), benchmark + ": allocated", bytes, "B/page")
                    .against("the harness's own", harnessBytes(ns, all.get(MEMCPY + " 256")));
            report.add(FOR_EACH_PAGE.matcher(benchmark).find() ? allocated.atMost(1.0) : allocated);
            String pages = benchmark.startsWith("DecoderBenchmark") ? " 256" : " " + last(benchmark);
            Measured memcpy = all.get(MEMCPY + pages);
            if (memcpy != null && (benchmark.startsWith("Encoder") || benchmark.startsWith("DecoderBenchmark.apply"))) {
                boolean copies =
                        benchmark.startsWith("Encoder") && COPYING.stream().anyMatch(benchmark::contains);
                double own = copies ? Math.max(1, ns - Objects.requireNonNull(all.get(CAPTURE + pages)).ns) : ns;
                Figure share = Figure.of(name(), benchmark + ": share of memcpy's bandwidth", memcpy.ns, "ns, memcpy")
                        .against(copies ? "without its copy" : "its time", own);
                Double goal = pages.equals(" 256") ? GOALS.get(benchmark.replaceAll(" \\d+$", "")) : null;
                report.add(goal == null ? share : share.atLeast(goal));
            }
        }
        lz4(report, all);
    }

    /** What the harness allocates while something takes so long: as much as for memcpy, which allocates nothing, in the same time. */
    private static double harnessBytes(double ns, @Nullable Measured memcpy) {
        return memcpy == null ? NOTHING_BYTES : Math.max(NOTHING_BYTES, memcpy.bytes * ns / memcpy.ns);
    }

    /** Our encoder without its copy, beside the library that it calls. */
    private void lz4(BenchReport report, Map<String, Measured> all) {
        Measured ours = all.get(LZ4 + " 256");
        Measured copy = all.get(CAPTURE + " 256");
        for (Map.Entry<String, Measured> entry : all.entrySet()) {
            if (ours != null
                    && copy != null
                    && LIBRARY_LZ4.matcher(entry.getKey()).find()) {
                report.add(Figure.of(name(), LZ4 + ": without its copy", Math.max(1, ours.ns - copy.ns), "ns")
                        .against("the library alone", entry.getValue().ns));
            }
        }
    }

    private static String last(String benchmark) {
        return benchmark.substring(benchmark.lastIndexOf(' ') + 1);
    }
}
