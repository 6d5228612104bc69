package io.lockstep.replication.memory;

import io.lockstep.linux.LinuxException;
import io.lockstep.replication.DutyCycle;
import java.util.Map;

/**
 * Tells which pages of another process's memory were written. All calls from the VM's capture thread, but for {@link #close()} and {@link #rounds()}.
 * Ranges are host virtual addresses in that process, multiples of 4096, and land in a caller's {@link DirtyRanges}.
 */
public interface DirtyTracker extends AutoCloseable {
    /** {@code userfaultfd-wp}, {@code soft-dirty} or {@code content-hash}. */
    String name();

    /**
     * Lists what was written in the watched regions since the last arming scan, and arms again, atomically per page. Call while the VM
     * is stopped and its I/O drained, or also in between if {@link #armsAtomically()} and no write is in flight from the kernel.
     */
    void scanAndArm(DirtyRanges into) throws LinuxException;

    /**
     * As {@link #scanAndArm(DirtyRanges)}, but leaves hot pages unarmed where it can, so that the next scan lists them again, written or not.
     *
     * @param whole whether hot pages are listed, too; if not, nothing is listed but what is armed, and the next whole scan lists them
     */
    default void scanAndArmCold(HotPages hot, boolean whole, DirtyRanges into) throws LinuxException {
        scanAndArm(into);
    }

    /** Whether {@link #scanAndArmCold} leaves pages unarmed. */
    default boolean armsSelectively() {
        return false;
    }

    /**
     * Lifts the protection of pages, where {@link #armsSelectively}: every scan lists them, written or not, until one arms them.
     *
     * @param start first address, of a watched region, as is the end
     */
    default void disarm(long start, long end) throws LinuxException {}

    /** Lists the same without arming; what it lists is listed again by the next {@link #scanAndArm}. While the VM runs, too. */
    void peek(DirtyRanges into) throws LinuxException;

    /** Whether a page written between listing and arming can not be lost while the VM runs. */
    boolean armsAtomically();

    /** Whether the watched process keeps the tracking state when this process dies, and its successor can take it over. */
    boolean survivesRestart();

    /** How regularly its own threads come round, by their names; empty if it has none. Any thread. */
    default Map<String, DutyCycle> rounds() {
        return Map.of();
    }

    /** Ends tracking and leaves no trace of it in the watched process. */
    void detach() throws LinuxException;

    /** Gives up this process's descriptors; the tracking state stays where it survives a restart. */
    @Override
    void close();
}
