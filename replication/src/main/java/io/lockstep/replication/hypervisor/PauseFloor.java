package io.lockstep.replication.hypervisor;

import io.lockstep.replication.LockstepException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;

/**
 * What a pause costs without any of our work: {@code stop}, device state to a tmpfs file, {@code cont}, as three commands. The measure
 * that the held save is held against.
 */
public final class PauseFloor {
    private PauseFloor() {}

    /**
     * Measures on a running VM, which is paused {@code times} times.
     *
     * @param stateFile a file on a tmpfs that QEMU may write; removed afterwards
     * @param times at least 1
     * @return the median in nanoseconds
     */
    public static long medianNs(QmpConnection qmp, Path stateFile, int times) throws LockstepException {
        QmpCommand stop = qmp.prepare("stop", qmp.arguments());
        QmpCommand save = qmp.prepare(
                "xen-save-devices-state",
                qmp.arguments().put("filename", stateFile.toString()).put("live", false));
        QmpCommand cont = qmp.prepare("cont", qmp.arguments());
        long[] took = new long[times];
        try {
            for (int i = 0; i < times; i++) {
                // The guest runs for a moment in between, as it does between epochs.
                qmp.await(10_000_000);
                long startNs = System.nanoTime();
                run(qmp, stop);
                try {
                    run(qmp, save);
                } finally {
                    run(qmp, cont);
                }
                took[i] = System.nanoTime() - startNs;
            }
        } finally {
            remove(stateFile);
        }
        Arrays.sort(took);
        return took[times / 2];
    }

    private static void run(QmpConnection qmp, QmpCommand command) throws LockstepException {
        qmp.send(command);
        while (qmp.reply() == QmpReply.NONE) {
            qmp.await(1_000_000_000);
            qmp.receive();
        }
        if (qmp.reply() == QmpReply.ERROR) {
            throw new LockstepException("qmp-error", "QEMU refused " + command.name() + ": " + qmp.errorText() + ".");
        }
    }

    private static void remove(Path file) throws LockstepException {
        try {
            Files.deleteIfExists(file);
        } catch (IOException e) {
            throw new LockstepException("state-file", "Cannot remove " + file + ": " + e.getMessage() + ".", e);
        }
    }
}
