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
import org.jspecify.annotations.Nullable;

/** QEMU's own live migration of a guest to a second QEMU on this machine. */
final class QemuMigration {
    /** A gap is known to a twentieth of the shortest downtime. */
    private static final int CLIENT_PER_SECOND = 500;

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
     * @param seconds the whole time
     * @param downtimeMs as QEMU reports it
     * @param gapMs longest time between two ticks of the guest
     * @param clientGapMs longest time between two answers to a client outside; 0 without one
     */
    record Result(double bytesPerSecond, double seconds, double downtimeMs, double gapMs, double clientGapMs) {}

    /**
     * What passes over written pages cost once the cache that deltas are made against holds them.
     *
     * @param bytesPerPage for each page that had to be sent again
     * @param pages that were; 0 if the migration had converged before
     */
    record Iterations(double bytesPerPage, double pages) {}

    /** The first pass sends all of memory, the second fills the cache. */
    private static final int WARM_PASSES = 2;

    /** Passes of a loaded guest take some tenths of a second then. */
    private static final long ITERATING_BANDWIDTH = 32L << 20;

    private QemuMigration() {}

    /**
     * A migration with XBZRLE of a running guest, for a stretch of seconds after its warm passes. The guest ends with it.
     *
     * <p>With no downtime allowed at all, QEMU takes a pass without a page left for the end and does not look whether others were written
     * ({@code ram_save_pending} in {@code migration/ram.c}): a millisecond makes it look, and at this bandwidth some pages are enough for another pass.
     */
    static Iterations iterate(BenchContext context, BenchGuest guest, BenchGuest.Spec spec, Path directory, int seconds)
            throws IOException, InterruptedException, DemoFailure, LockstepException {
        try (Pair pair = Pair.of(context, guest, spec, directory)) {
            Way.XBZRLE.prepare(pair.from);
            Way.XBZRLE.prepare(pair.to);
            pair.from.execute("migrate-set-parameters", Map.of("downtime-limit", 1));
            pair.from.execute(
                    "migrate-set-capabilities",
                    Map.of("capabilities", List.of(Map.of("capability", "pause-before-switchover", "state", true))));
            pair.begin();
            JsonNode[] last = new JsonNode[1];
            awaitPasses(pair, 1, last);
            pair.from.execute("migrate-set-parameters", Map.of("max-bandwidth", ITERATING_BANDWIDTH));
            awaitPasses(pair, WARM_PASSES, last);
            JsonNode begin = last[0];
            long endNs = System.nanoTime() + seconds * 1_000_000_000L;
            Deadline.await("the end of a stretch", LONGEST, () -> {
                last[0] = query(pair.from);
                return System.nanoTime() > endNs || stopped(last[0]);
            });
            if (last[0].path("status").asText().equals("failed")) {
                throw new DemoFailure("QEMU's migration failed: " + last[0]);
            }
            double bytes = difference(begin, last[0], "ram", "transferred");
            double pages = difference(begin, last[0], "ram", "normal")
                    + difference(begin, last[0], "ram", "duplicate")
                    + difference(begin, last[0], "xbzrle-cache", "pages");
            return new Iterations(pages == 0 ? 0 : bytes / pages, pages);
        }
    }

    /** Returns when so many passes have ended, or it sends no more. */
    private static void awaitPasses(Pair pair, int passes, JsonNode[] last) throws InterruptedException, DemoFailure {
        Deadline.await("the end of " + passes + " passes", LONGEST, () -> {
            last[0] = query(pair.from);
            return last[0].path("ram").path("dirty-sync-count").asInt() > passes || stopped(last[0]);
        });
    }

    private static double difference(JsonNode begin, JsonNode end, String group, String field) {
        return end.path(group).path(field).asDouble()
                - begin.path(group).path(field).asDouble();
    }

    /** Whether it sends no more: it converged, or ended. Before it sends it is in {@code setup}. */
    private static boolean stopped(JsonNode migration) {
        return !List.of("", "none", "setup", "active")
                .contains(migration.path("status").asText());
    }

    private static JsonNode query(QmpConnection qmp) throws DemoFailure {
        try {
            return qmp.execute("query-migrate");
        } catch (LockstepException e) {
            throw new DemoFailure("query-migrate: " + e.getMessage(), e);
        }
    }

    /** A running guest, and the process that waits for it. */
    private record Pair(BenchGuest guest, Process target, QmpConnection from, QmpConnection to, String uri)
            implements AutoCloseable {
        static Pair start(BenchContext context, BenchGuest.Spec spec, Path directory)
                throws IOException, InterruptedException, DemoFailure, LockstepException {
            return of(context, BenchGuest.boot(context, spec, directory), spec, directory);
        }

        static Pair of(BenchContext context, BenchGuest guest, BenchGuest.Spec spec, Path directory)
                throws IOException, InterruptedException, DemoFailure, LockstepException {
            String target = spec.name() + "-target";
            int port;
            try (ServerSocket probe = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
                port = probe.getLocalPort();
            }
            Process process = BenchGuest.start(context, spec, directory, target, List.of("-incoming", "defer"));
            Path socket = directory.resolve(target + ".bench.qmp");
            Deadline.await("the target's monitor", LONGEST, () -> Files.exists(socket));
            return new Pair(
                    guest,
                    process,
                    BenchGuest.monitor(directory, spec.name()),
                    BenchGuest.monitor(directory, target),
                    "tcp:127.0.0.1:" + port);
        }

        void begin() throws LockstepException {
            to.execute("migrate-incoming", Map.of("uri", uri));
            from.execute("migrate", Map.of("uri", uri));
        }

        @Override
        public void close() throws IOException {
            from.close();
            to.close();
            target.destroyForcibly();
            guest.close();
        }
    }

    static Result measure(BenchContext context, BenchGuest.Spec spec, Path directory, Way way)
            throws IOException, InterruptedException, DemoFailure, LockstepException {
        try (Pair pair = Pair.start(context, spec, directory)) {
            way.prepare(pair.from);
            way.prepare(pair.to);
            try (LoadClient client = client(context, spec)) {
                int before = pair.guest.ticks();
                pair.begin();
                JsonNode done = awaitEnd(pair.from);
                pair.guest.awaitTicks(100);
                double seconds = done.path("total-time").asDouble() / 1000;
                return new Result(
                        spec.memoryMib() * 1048576.0 / seconds,
                        seconds,
                        done.path("downtime").asDouble(),
                        pair.guest.longestGapMs(before),
                        client == null ? 0 : longestGapMs(client));
            }
        }
    }

    /** Between two of its answers so far, and one more: a gap counts when it has ended. */
    static double longestGapMs(LoadClient client) throws IOException, InterruptedException, DemoFailure {
        long askedNs = System.nanoTime();
        Deadline.await("an answer after the move", LONGEST, () -> client.answeredSince(askedNs));
        return client.take().longestGapNs() / 1e6;
    }

    /** A client that asks all the time; null where the guest has no network. */
    static @Nullable LoadClient client(BenchContext context, BenchGuest.Spec spec)
            throws IOException, InterruptedException, DemoFailure {
        if (!context.network() || spec.devices().isEmpty()) {
            return null;
        }
        LoadClient client = LoadClient.start(CLIENT_PER_SECOND);
        long beganNs = System.nanoTime();
        Deadline.await("an answer", LONGEST, () -> client.answeredSince(beganNs));
        client.take();
        return client;
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
