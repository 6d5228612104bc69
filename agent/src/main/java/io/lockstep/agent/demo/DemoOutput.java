package io.lockstep.agent.demo;

import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.SerializerProvider;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.module.SimpleModule;
import com.fasterxml.jackson.databind.ser.std.StdSerializer;
import io.lockstep.agent.view.ProtectionStatus;
import io.lockstep.agent.view.Quantiles;
import java.io.IOException;
import java.io.PrintStream;
import java.math.BigDecimal;
import java.math.RoundingMode;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Locale;

/** What a run prints: lines with the time since its start, a table at its end, and the report as JSON. */
final class DemoOutput {
    private final PrintStream out = System.out;
    private final long startNs = System.nanoTime();
    private long progressNs = startNs;

    /** A line, behind the seconds since the start. */
    void line(String format, Object... values) {
        double seconds = (System.nanoTime() - startNs) / 1e9;
        out.println(String.format(Locale.ROOT, "%6.2f s  ", seconds) + String.format(Locale.ROOT, format, values));
    }

    /** A verb's progress, at most once a second. */
    void progress(String phase, long done, long total) {
        long nowNs = System.nanoTime();
        if (total > 0 && nowNs - progressNs >= 1_000_000_000) {
            progressNs = nowNs;
            line("%s: %.0f of %.0f MiB", phase, done / 1048576.0, total / 1048576.0);
        }
    }

    /** The first copy's end. */
    void copied(ProtectionStatus status) {
        double ms = status.initialSync().ms();
        double mib = status.initialSync().bytesDone() / 1048576.0;
        line(
                "protected: %.0f MiB copied in %.0f ms (%.0f MB/s), tracker %s",
                mib, ms, mib * 1.048576 / ms * 1e3, status.tracker());
    }

    /** The line of each second. */
    void second(int second, ProtectionStatus status, ChainCheck check) {
        line(
                "%3d  epoch %d acknowledged, pause p50 %.2f ms, %.0f dirty pages, %.1f MB sent, tick %d right",
                second,
                status.ackedEpoch(),
                status.pauseMs().p50(),
                status.dirtyPages().p50(),
                status.linkBytes() / 1e6,
                check.last());
    }

    /** The table at the end. */
    void table(DemoReport report) {
        out.println();
        row("guest", "%s, %.0f MiB in all RAM blocks", report.guest(), report.ramBytes() / 1048576.0);
        row("tracker", "%s", report.tracker());
        row(
                "first copy",
                "%.0f MB in %.0f ms",
                report.initialSync().bytes() / 1e6,
                report.initialSync().ms());
        row("epochs", "%d of %s", report.epochs(), quantiles(report.epochMs()));
        row("pause", "%s", quantiles(report.pauseMs()));
        row("pause floor", "p50 %.2f ms", report.pauseFloorMs().p50());
        row(
                "dirty pages",
                "p50 %.0f, max %.0f",
                report.dirtyPages().p50(),
                report.dirtyPages().max());
        row("sent", "%.1f MB", report.linkBytes() / 1e6);
        row(
                "journal",
                "%d epochs, %.1f MB",
                report.journal().epochs(),
                report.journal().bytes() / 1e6);
        DemoReport.Failover failover = report.failover();
        if (failover != null) {
            row(
                    "failover",
                    "%.0f ms (detect %.0f ms, resume %.0f ms)",
                    failover.totalMs(),
                    failover.detectMs(),
                    failover.resumeMs());
        }
        DemoReport.AgentRestart restart = report.agentRestart();
        if (restart != null) {
            row(
                    "VM paused",
                    "at most %.1f ms, full copy: %s",
                    restart.vmPausedMsMax(),
                    restart.fullCopy() ? "yes" : "no");
        }
        DemoReport.Client client = report.client();
        if (client != null) {
            row(
                    "client",
                    "%d acknowledged, %d lost, %d contradicted; gap %.0f ms",
                    client.acks(),
                    client.lost(),
                    client.contradicted(),
                    client.gapMs());
            row(
                    "round trip",
                    "p50 %.2f ms, p99 %.2f ms; unprotected p50 %.2f ms",
                    client.roundTripMs().p50(),
                    client.roundTripMs().p99(),
                    client.unprotectedRoundTripMs().p50());
        }
        for (DemoReport.Disk disk : report.disks()) {
            row(
                    "disk " + disk.name(),
                    "%.0f MiB, on the peer after %.0f ms, verified after the kill: %s",
                    disk.bytes() / 1048576.0,
                    disk.syncMs(),
                    disk.verified() ? "yes" : "NO");
        }
        DemoReport.GuestState state = report.guestState();
        row("guest's state", "%d ticks before, %d after the kill", state.ticksBefore(), state.ticksAfter());
        row("verified", "%s", state.verified() ? "yes" : "NO");
    }

    private void row(String name, String format, Object... values) {
        out.println(String.format(Locale.ROOT, "  %-15s", name) + String.format(Locale.ROOT, format, values));
    }

    private static String quantiles(Quantiles ms) {
        return String.format(Locale.ROOT, "p50 %.2f ms, p99 %.2f ms, max %.2f ms", ms.p50(), ms.p99(), ms.max());
    }

    /** Finds out whether a report can be written here; directories on the way to it are made. */
    static void prepare(Path file) throws IOException {
        Path parent = file.toAbsolutePath().getParent();
        if (parent != null) {
            Files.createDirectories(parent);
        }
        Files.newByteChannel(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE)
                .close();
    }

    /** Writes the report to a file that was prepared. */
    void json(DemoReport report, Path file) throws IOException {
        Files.writeString(file, json(report));
    }

    static String json(DemoReport report) throws JsonProcessingException {
        SimpleModule microseconds = new SimpleModule();
        microseconds.addSerializer(double.class, new Microseconds());
        return JsonMapper.builder()
                        .addModule(microseconds)
                        .enable(SerializationFeature.INDENT_OUTPUT)
                        .build()
                        .writeValueAsString(report)
                + "\n";
    }

    /** Three decimals: a microsecond is less than anything here is measured to. */
    private static final class Microseconds extends StdSerializer<Double> {
        private static final long serialVersionUID = 1;

        Microseconds() {
            super(Double.class);
        }

        @Override
        public void serialize(Double value, JsonGenerator generator, SerializerProvider provider) throws IOException {
            generator.writeNumber(BigDecimal.valueOf(value).setScale(3, RoundingMode.HALF_UP));
        }
    }

    /** Why the run failed, and where its logs are. */
    void failed(String message, Path logs) {
        System.err.println("lockstep demo failed: " + message);
        System.err.println("logs: " + logs);
    }
}
