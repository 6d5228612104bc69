package io.lockstep.replication.disk;

import com.fasterxml.jackson.databind.JsonNode;
import io.lockstep.linux.UnixListener;
import io.lockstep.replication.LockstepException;
import io.lockstep.replication.hypervisor.QmpConnection;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.locks.LockSupport;

/**
 * QEMU's NBD server, for as long as a copy reads the disks through it: QEMU knows its formats, and what it has not written yet.
 *
 * <p>The listening socket is ours, handed over, so that QEMU needs the right to no directory. QEMU has one such server; while somebody
 * else's runs, ours cannot. The thread that has the monitor.
 */
final class DiskExports {
    private static final String PREFIX = "lockstep-disk-";
    private static final String FD_NAME = "lockstep-nbd";
    private static final int BACKLOG = 4;
    private static final long END_TIMEOUT_NS = 5_000_000_000L;
    private static final long END_POLL_NS = 2_000_000;

    private final Path socket;
    private final CopyLedger ledger;

    DiskExports(Path directory, CopyLedger ledger) {
        socket = directory.resolve("read.sock");
        this.ledger = ledger;
    }

    /** Where the server listens. */
    Path socket() {
        return socket;
    }

    /** Name of a disk's export. */
    static String name(int disk) {
        return PREFIX + disk;
    }

    /**
     * Serves every disk, read-only, with its collected bitmap.
     *
     * @throws LockstepException {@code qmp-error} if QEMU serves somebody else
     */
    void start(QmpConnection qmp, List<GuestDisk> disks) throws LockstepException {
        try {
            Files.deleteIfExists(socket);
            try (UnixListener listener = UnixListener.open(socket.toString(), BACKLOG)) {
                qmp.passDescriptor(listener.fd(), FD_NAME);
            }
        } catch (IOException e) {
            throw new LockstepException("disk-read", "cannot listen at " + socket + ": " + e.getMessage(), e);
        }
        ledger.serving(true);
        boolean started = false;
        try {
            qmp.execute(
                    "nbd-server-start",
                    Map.of("addr", Map.of("type", "fd", "data", Map.of("str", FD_NAME)), "max-connections", 0));
            started = true;
        } finally {
            if (!started) {
                ledger.serving(false);
                qmp.execute("closefd", Map.of("fdname", FD_NAME));
            }
        }
        for (int i = 0; i < disks.size(); i++) {
            qmp.execute(
                    "block-export-add",
                    Map.of(
                            "type",
                            "nbd",
                            "id",
                            name(i),
                            "name",
                            name(i),
                            "node-name",
                            disks.get(i).node(),
                            "writable",
                            false,
                            "bitmaps",
                            List.of(BitmapTrail.todo())));
        }
    }

    /** Ends our exports and, if it is ours, the server; also those of an earlier life of the agent. */
    void stop(QmpConnection qmp) throws LockstepException {
        for (JsonNode export : qmp.execute("query-block-exports")) {
            String id = export.path("id").asText();
            if (id.startsWith(PREFIX) && !export.path("shutting-down").asBoolean()) {
                qmp.execute("block-export-del", Map.of("id", id, "mode", "hard"));
            }
        }
        if (ledger.serving()) {
            try {
                qmp.execute("nbd-server-stop");
            } catch (LockstepException e) {
                if (!e.code().equals("qmp-error")) {
                    throw e;
                }
            }
            ledger.serving(false);
        }
        awaitEnd(qmp);
        try {
            Files.deleteIfExists(socket);
        } catch (IOException e) {
            throw new LockstepException("disk-read", "cannot remove " + socket + ": " + e.getMessage(), e);
        }
    }

    /** An export ends when its last request has: only then are its bitmap and its node free. */
    private static void awaitEnd(QmpConnection qmp) throws LockstepException {
        long deadlineNs = System.nanoTime() + END_TIMEOUT_NS;
        while (left(qmp)) {
            if (System.nanoTime() > deadlineNs) {
                throw new LockstepException(
                        "disk-export-stuck",
                        "QEMU did not end its exports of the disks within " + END_TIMEOUT_NS / 1_000_000_000
                                + " s: a request on a disk hangs");
            }
            LockSupport.parkNanos(END_POLL_NS);
        }
    }

    private static boolean left(QmpConnection qmp) throws LockstepException {
        for (JsonNode export : qmp.execute("query-block-exports")) {
            if (export.path("id").asText().startsWith(PREFIX)) {
                return true;
            }
        }
        return false;
    }
}
