package io.lockstep.perf.bench;

import io.lockstep.agent.demo.Deadline;
import io.lockstep.agent.demo.DemoHost;
import io.lockstep.agent.view.ProtectionStatus;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

/** Half an hour of protection: what grows. {@code -Dlockstep.soakMinutes} makes it shorter or longer. */
final class SoakSection implements Section {
    private static final String VM = "soak";
    private static final int MINUTES = Integer.getInteger("lockstep.soakMinutes", 30);
    private static final double MB = 1e6;
    private static final int SOME_MINUTES = 5;

    private record Sample(
            double minute,
            double heapMb,
            double rssMb,
            double directMb,
            double descriptors,
            double threads,
            double journalMb) {}

    /** Of the pauses right before the end of a minute, as many as the agent keeps. */
    private record Pauses(double p50Ms, double p99Ms) {
        static Pauses of(ProtectionStatus status) {
            return new Pauses(
                    status.recentPauseMs().p50(), status.recentPauseMs().p99());
        }
    }

    @Override
    public String name() {
        return "soak";
    }

    @Override
    public int quickSeconds() {
        return 0;
    }

    @Override
    public void run(BenchContext context, BenchReport report) throws Exception {
        try (Lab lab = new Lab(context, 25, "\n[journal]\nbytesMax = 268435456\n");
                BenchGuest guest = BenchGuest.boot(
                        context,
                        BenchGuest.Spec.micro(context, VM, 256, "mb=64 pages=50 sweep=32 hz=50"),
                        lab.directory())) {
            lab.protectWarm(VM, 400);
            List<Long> pids = lab.agentPids();
            List<List<Sample>> samples = List.of(new ArrayList<>(), new ArrayList<>());
            List<Pauses> pauses = new ArrayList<>();
            lab.awaitEpochs(VM, 1_000);
            long beganNs = System.nanoTime();
            for (int minute = 0; minute <= MINUTES; minute++) {
                long untilNs = beganNs + Duration.ofMinutes(minute).toNanos();
                Deadline.await("the next minute", Duration.ofMinutes(2), () -> System.nanoTime() >= untilNs);
                pauses.add(Pauses.of(lab.primary().protection(VM)));
                for (int i = 0; i < 2; i++) {
                    DemoHost host = i == 0 ? lab.primary() : lab.peer();
                    samples.get(i).add(sample(minute, host, lab.directory().resolve(i == 0 ? "host-a" : "host-b")));
                }
            }
            lab.awaitEpochs(VM, 1);
            guest.awaitTicks(1);
            if (!pids.equals(lab.agentPids())) {
                throw new IOException(
                        "an agent was started anew meanwhile: pids " + pids + ", then " + lab.agentPids());
            }
            add(report, "primary", samples.get(0));
            add(report, "peer", samples.get(1));
            drift(report, "p50", pauses.stream().map(Pauses::p50Ms).toList());
            drift(report, "p99", pauses.stream().map(Pauses::p99Ms).toList());
        }
    }

    /** The last minutes beside the first ones, each by its own pauses. */
    private void drift(BenchReport report, String quantile, List<Double> minutes) {
        int some = Math.max(1, Math.min(SOME_MINUTES, minutes.size() / 2));
        report.add(Figure.of(
                        name(),
                        "pause " + quantile + ", median of the last " + some + " minutes",
                        median(minutes.subList(minutes.size() - some, minutes.size())),
                        "ms")
                .against("of the first " + some, median(minutes.subList(0, some))));
    }

    /** The upper one of two. */
    static double median(List<Double> values) {
        return values.stream().sorted().toList().get(values.size() / 2);
    }

    private void add(BenchReport report, String host, List<Sample> samples) {
        Sample first = samples.get(Math.min(2, samples.size() - 1));
        Sample last = samples.get(samples.size() - 1);
        String early = "minute " + (int) first.minute;
        report.add(Figure.of(name(), host + ": heap used", last.heapMb, "MB").against(early, first.heapMb));
        report.add(Figure.of(name(), host + ": resident", last.rssMb, "MB").against(early, first.rssMb));
        report.add(
                Figure.of(name(), host + ": direct memory", last.directMb, "MB").against(early, first.directMb));
        report.add(Figure.of(name(), host + ": descriptors", last.descriptors, "count")
                .against(early, first.descriptors));
        report.add(Figure.of(name(), host + ": threads", last.threads, "count").against(early, first.threads));
        report.add(Figure.of(name(), host + ": journal", last.journalMb, "MB").against(early, first.journalMb));
        double[] x = samples.stream().mapToDouble(Sample::minute).toArray();
        report.add(new Plot("soak-" + host, "Soak, " + host, "minutes", "MB", false)
                .series(
                        "resident",
                        x,
                        samples.stream().mapToDouble(Sample::rssMb).toArray())
                .series("heap", x, samples.stream().mapToDouble(Sample::heapMb).toArray())
                .series(
                        "journal",
                        x,
                        samples.stream().mapToDouble(Sample::journalMb).toArray()));
    }

    private static Sample sample(int minute, DemoHost host, Path root) throws Exception {
        String metrics = host.metrics();
        long pid = host.agent().pid();
        return new Sample(
                minute,
                metric(metrics, "heap") / MB,
                Proc.residentBytes(pid) / MB,
                metric(metrics, "direct") / MB,
                Proc.descriptors(pid),
                Proc.threads(pid),
                journalBytes(root) / MB);
    }

    /** Bytes of an area of the JVM's memory, from a text in the format of Prometheus. */
    static double metric(String metrics, String area) throws IOException {
        for (String line : metrics.lines().toList()) {
            if (line.contains("memory") && line.contains("area=\"" + area + "\"")) {
                return Double.parseDouble(line.substring(line.lastIndexOf(' ') + 1));
            }
        }
        throw new IOException("the agent's metrics have no memory of area " + area);
    }

    private static double journalBytes(Path root) throws IOException {
        if (!Files.isDirectory(root)) {
            return 0;
        }
        try (Stream<Path> files = Files.walk(root)) {
            double sum = 0;
            for (Path file :
                    files.filter(path -> path.toString().endsWith(".cq4")).toList()) {
                sum += Files.exists(file) ? ((Number) Files.getAttribute(file, "unix:size")).doubleValue() : 0;
            }
            return sum;
        }
    }
}
