package io.lockstep.perf.bench;

import io.lockstep.perf.Bench;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Pattern;
import org.openjdk.jmh.results.Result;
import org.openjdk.jmh.results.RunResult;
import org.openjdk.jmh.runner.Runner;

/** JMH: encoders, applying, journal, codec and decoder, each a page of 4 KiB on one core, with what they allocate, against memcpy and LZ4. */
final class MicroSection implements Section {
    private static final String MEMCPY = "MemoryBenchmark.memcpy";
    private static final String ALLOCATED = "gc.alloc.rate.norm";
    /** What the harness itself allocates for one call at the rate of these benchmarks. */
    private static final double NOTHING_BYTES = 0.5;

    private static final Pattern QUICK = Pattern.compile(
            "MemoryBenchmark\\.memcpy|EncoderBenchmark|DecoderBenchmark\\.apply|JournalBenchmark|Lz4Benchmark\\.compress");

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
    public void run(BenchContext context, BenchReport report) throws Exception {
        Map<String, Measured> all = new TreeMap<>();
        Collection<RunResult> results = new Runner(
                        Bench.options(context.quick() ? QUICK.pattern() : "io\\.lockstep\\.perf\\..*", context.quick()))
                .run();
        for (RunResult result : results) {
            all.put(name(result), measured(result));
        }
        report(report, all);
    }

    /**
     * @param ns of one call, for one page
     * @param bytes allocated by one call
     */
    record Measured(double ns, double bytes) {}

    private static Measured measured(RunResult result) {
        Result<?> allocated = result.getSecondaryResults().get(ALLOCATED);
        return new Measured(
                result.getPrimaryResult().getScore(), allocated == null ? Double.NaN : allocated.getScore());
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
            report.add(Figure.of(name(), benchmark + ": allocated", bytes, "B/page")
                    .against("the harness's own", NOTHING_BYTES));
            String pages = benchmark.startsWith("DecoderBenchmark") ? " 256" : " " + last(benchmark);
            Measured memcpy = all.get(MEMCPY + pages);
            if (memcpy != null && (benchmark.startsWith("Encoder") || benchmark.startsWith("DecoderBenchmark.apply"))) {
                boolean copies =
                        benchmark.startsWith("Encoder") && COPYING.stream().anyMatch(benchmark::contains);
                double own = copies ? Math.max(1, ns - memcpy.ns) : ns;
                Figure share = Figure.of(name(), benchmark + ": share of memcpy's bandwidth", memcpy.ns, "ns, memcpy")
                        .against(copies ? "without its copy" : "its time", own);
                Double goal = pages.equals(" 256") ? GOALS.get(benchmark.replaceAll(" \\d+$", "")) : null;
                report.add(goal == null ? share : share.atLeast(goal));
            }
        }
    }

    private static String last(String benchmark) {
        return benchmark.substring(benchmark.lastIndexOf(' ') + 1);
    }
}
