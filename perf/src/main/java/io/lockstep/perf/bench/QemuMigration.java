package io.lockstep.perf.bench;

import com.fasterxml.jackson.databind.JsonNode;
import io.lockstep.agent.demo.Deadline;
import io.lockstep.agent.demo.DemoFailure;
import io.lockstep.replication.LockstepException;
import io.lockstep.replication.hypervisor.QmpConnection;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;

/** QEMU's own live migration of a guest to a second QEMU on this machine. */
final class QemuMigration {
    private static final Duration LONGEST = Duration.ofMinutes(2);

    /** As QEMU comes, and with what it offers for speed. The two with more bandwidth have no limit of it that matters. */
    enum Way {
        DEFAULT("default") {
            @Override
            void prepare(QmpConnection qmp) {}
        },
        MULTIFD("multifd") {
            @Override
            void prepare(QmpConnection qmp) throws LockstepException {
                enable(qmp, "multifd");
                qmp.execute("migrate-set-parameters", Map.of("max-bandwidth", UNLIMITED, "multifd-channels", 2));
            }
        },
        XBZRLE("xbzrle") {
            @Override
            void prepare(QmpConnection qmp) throws LockstepException {
                enable(qmp, "xbzrle");
                qmp.execute("migrate-set-parameters", Map.of("max-bandwidth", UNLIMITED, "xbzrle-cache-size", CACHE));
            }
        };

        private static final long UNLIMITED = 100_000_000_000L;
        private static final long CACHE = 64L << 20;

        private final String label;

        Way(String label) {
            this.label = label;
        }

        String label() {
            return label;
        }

        /** Tells one of the two QEMUs. */
        abstract void prepare(QmpConnection qmp) throws LockstepException;

        private static void enable(QmpConnection qmp, String capability) throws LockstepException {
            qmp.execute(
                    "migrate-set-capabilities",
                    Map.of("capabilities", List.of(Map.of("capability", capability, "state", true))));
        }
    }

    /**
     * How it went.
     *
     * @param bytesPerSecond guest memory over the whole time
     * @param downtimeMs as QEMU reports it
     * @param gapMs longest time between two ticks of the guest
     */
    record Result(double bytesPerSecond, double downtimeMs, double gapMs) {}

    private QemuMigration() {}

    static Result measure(BenchContext context, BenchGuest.Spec spec, Path directory, Way way)
            throws IOException, InterruptedException, DemoFailure, LockstepException {
        String target = spec.name() + "-target";
        int port;
        try (ServerSocket probe = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            port = probe.getLocalPort();
        }
        Process process = null;
        try (BenchGuest guest = BenchGuest.boot(context, spec, directory)) {
            process = BenchGuest.start(context, spec, directory, target, List.of("-incoming", "defer"));
            Path socket = directory.resolve(target + ".bench.qmp");
            Deadline.await("the target's monitor", LONGEST, () -> Files.exists(socket));
            try (QmpConnection from = BenchGuest.monitor(directory, spec.name());
                    QmpConnection to = BenchGuest.monitor(directory, target)) {
                way.prepare(from);
                way.prepare(to);
                String uri = "tcp:127.0.0.1:" + port;
                to.execute("migrate-incoming", Map.of("uri", uri));
                int before = guest.ticks();
                from.execute("migrate", Map.of("uri", uri));
                JsonNode done = awaitEnd(from);
                guest.awaitTicks(100);
                double seconds = done.path("total-time").asDouble() / 1000;
                return new Result(
                        spec.memoryMib() * 1048576.0 / seconds,
                        done.path("downtime").asDouble(),
                        guest.longestGapMs(before));
            }
        } finally {
            if (process != null) {
                process.destroyForcibly();
            }
        }
    }

    private static JsonNode awaitEnd(QmpConnection qmp) throws InterruptedException, DemoFailure {
        JsonNode[] last = new JsonNode[1];
        Deadline.await("the end of the migration", LONGEST, () -> {
            try {
                last[0] = qmp.execute("query-migrate");
            } catch (LockstepException e) {
                throw new DemoFailure("query-migrate: " + e.getMessage(), e);
            }
            String status = last[0].path("status").asText();
            if (status.equals("failed")) {
                throw new DemoFailure("QEMU's migration failed: " + last[0]);
            }
            return status.equals("completed");
        });
        return last[0];
    }
}
