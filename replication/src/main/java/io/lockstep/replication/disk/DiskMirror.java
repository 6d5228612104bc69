package io.lockstep.replication.disk;

import com.fasterxml.jackson.databind.JsonNode;
import io.lockstep.replication.DutyCycle;
import io.lockstep.replication.LockstepException;
import io.lockstep.replication.hypervisor.ProcessOwner;
import io.lockstep.replication.hypervisor.QmpConnection;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.locks.LockSupport;

/**
 * The mirror of one disk in QEMU, and the server that it writes to: every write of the guest is in the log before the guest sees it done.
 *
 * <p>All calls on the thread that has the monitor.
 */
final class DiskMirror implements AutoCloseable {
    private static final String PREFIX = "lockstep-disk-";
    private static final long END_TIMEOUT_NS = 5_000_000_000L;
    private static final long END_POLL_NS = 2_000_000;
    private static final int CONNECTIONS_MAX = 4;

    private final String id;
    private final GuestDisk disk;
    private final NbdServer server;

    DiskMirror(int number, GuestDisk disk, DiskLog log, Path directory, ProcessOwner owner) throws LockstepException {
        this.disk = disk;
        id = PREFIX + number;
        Path socket = directory.resolve(id + ".sock");
        server = new NbdServer(socket, new Sink(number, disk, log), owner, CONNECTIONS_MAX);
    }

    /**
     * Starts it.
     *
     * @param all whether QEMU also copies what the disk holds, from the beginning
     */
    void start(QmpConnection qmp, boolean all) throws LockstepException {
        qmp.execute(
                "blockdev-add",
                Map.of(
                        "driver",
                        "raw",
                        "node-name",
                        id,
                        "discard",
                        "unmap",
                        "detect-zeroes",
                        "unmap",
                        "file",
                        Map.of(
                                "driver",
                                "nbd",
                                "export",
                                id,
                                "server",
                                Map.of("type", "unix", "path", server.socket().toString()))));
        qmp.execute(
                "blockdev-mirror",
                Map.of(
                        "job-id",
                        id,
                        "device",
                        disk.node(),
                        "target",
                        id,
                        "sync",
                        all ? "full" : "none",
                        "copy-mode",
                        "write-blocking"));
    }

    /**
     * How far it is.
     *
     * @param jobs QEMU's answer to query-block-jobs
     */
    Progress progress(JsonNode jobs) {
        for (JsonNode job : jobs) {
            if (job.path("device").asText().equals(id)) {
                // Told by QEMU 8.2 and newer; a mirror that is ready and not paused is in sync before.
                boolean synced = job.path("actively-synced").asBoolean(true);
                return new Progress(
                        job.path("ready").asBoolean() && synced,
                        job.path("offset").asLong(),
                        job.path("len").asLong());
            }
        }
        return Progress.GONE;
    }

    /** @param ready whether every write is mirrored and nothing is left to copy */
    record Progress(boolean ready, long done, long total) {
        static final Progress GONE = new Progress(false, -1, -1);

        boolean gone() {
            return done < 0;
        }
    }

    /** Takes everything of ours out of QEMU that an earlier life may have left. */
    static void removeLeftovers(QmpConnection qmp) throws LockstepException {
        for (JsonNode job : qmp.execute("query-block-jobs")) {
            String name = job.path("device").asText();
            if (name.startsWith(PREFIX)) {
                cancel(qmp, name);
            }
        }
        for (JsonNode node : qmp.execute("query-named-block-nodes", Map.of("flat", true))) {
            String name = node.path("node-name").asText();
            if (name.startsWith(PREFIX)) {
                qmp.execute("blockdev-del", Map.of("node-name", name));
            }
        }
    }

    /** Whether a job or node of QEMU is one of ours. */
    static boolean owns(String name) {
        return name.startsWith(PREFIX);
    }

    /**
     * Ends a job in order: a mirror that is ready is drained before QEMU takes it apart. To force it while the guest writes is for one that does not
     * end so: QEMU (7.2, {@code mirror_run} of block/mirror.c) then frees its bitmap of requests under way without waiting for the guest's
     * own, which corrupt QEMU's heap when they end.
     */
    private static void cancel(QmpConnection qmp, String name) throws LockstepException {
        for (boolean force : new boolean[] {false, true}) {
            if (!exists(qmp, name)) {
                return;
            }
            qmp.execute("block-job-cancel", Map.of("device", name, "force", force));
            long deadlineNs = System.nanoTime() + END_TIMEOUT_NS;
            while (System.nanoTime() - deadlineNs < 0) {
                if (!exists(qmp, name)) {
                    return;
                }
                LockSupport.parkNanos(END_POLL_NS);
            }
        }
        throw new LockstepException(
                "disk-mirror-stuck",
                "QEMU did not end its job " + name + " within " + 2 * END_TIMEOUT_NS / 1_000_000_000
                        + " s: a request on the disk hangs");
    }

    private static boolean exists(QmpConnection qmp, String name) throws LockstepException {
        for (JsonNode job : qmp.execute("query-block-jobs")) {
            if (job.path("device").asText().equals(name)) {
                return true;
            }
        }
        return false;
    }

    /** How long its server takes for the writes of the guest. Any thread. */
    DutyCycle rounds() {
        return server.rounds();
    }

    @Override
    public void close() {
        server.close();
    }

    /** What the mirror writes into. */
    private record Sink(int number, GuestDisk disk, DiskLog log) implements NbdExport {
        @Override
        public String name() {
            return PREFIX + number;
        }

        @Override
        public long sizeBytes() {
            return disk.disk().lengthBytes();
        }

        @Override
        public boolean readOnly() {
            return false;
        }

        @Override
        public boolean zeroesFast() {
            return true;
        }

        @Override
        public void read(long offset, ByteBuffer into) throws NbdException {
            throw new NbdException(NbdException.ENOTSUP, "a mirror is only written: what it held has gone to the peer");
        }

        @Override
        public void write(long offset, ByteBuffer data, boolean fua) throws NbdException {
            log.write(number, offset, data);
        }

        @Override
        public void writeZeroes(long offset, long length, boolean mayTrim, boolean fua) throws NbdException {
            log.zeroes(number, offset, length);
        }

        @Override
        public void trim(long offset, long length, boolean fua) throws NbdException {
            log.zeroes(number, offset, length);
        }

        @Override
        public void flush() {
            // An epoch is on the peer before the world sees what depends on it: a flush has nothing to wait for.
        }

        @Override
        public void flushed(long nowNs) {
            log.flushed(nowNs);
        }
    }
}
