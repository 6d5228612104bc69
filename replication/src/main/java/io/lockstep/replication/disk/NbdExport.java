package io.lockstep.replication.disk;

import java.nio.ByteBuffer;

/**
 * What stands behind an {@link NbdServer}: a range of bytes.
 *
 * <p>Any thread, several at once: each connection has its own. Offsets and lengths are in bytes, lie within the export and are not zero: the
 * server checks them, and refuses what would change a read-only export. A request of a client comes in pieces of at most
 * {@link NbdServer#PIECE_BYTES_MAX}, in the order of their offsets; the reply is sent when all have returned. A call that waits must end when
 * its thread is interrupted, with {@link NbdException#ESHUTDOWN}: this is how a server that closes gets its threads back.
 */
public interface NbdExport {
    /** The name that clients ask for, at most 4096 bytes of UTF-8; the empty name means this export, too. */
    String name();

    /** Its length, which never changes. */
    long sizeBytes();

    /** Whether everything that would change it is refused. */
    boolean readOnly();

    /** Whether {@link #writeZeroes} that may trim is quicker than writing as many bytes. */
    default boolean zeroesFast() {
        return false;
    }

    /**
     * What the range begins with, for clients that leave out what takes no space.
     *
     * @return how many bytes from offset on, at most length, are alike: positive if they may be data, negative if they are a hole, which reads
     *     as zeros
     */
    default long extent(long offset, long length) throws NbdException {
        return length;
    }

    /** Fills the direct buffer from its position to its limit, and leaves its position at its limit. */
    void read(long offset, ByteBuffer into) throws NbdException;

    /**
     * Takes the content of the direct buffer between position and limit, which belongs to the server again when this returns.
     *
     * @param fua return only when these bytes survive a loss of power
     */
    void write(long offset, ByteBuffer data, boolean fua) throws NbdException;

    /**
     * Lets the range read as zeros.
     *
     * @param length up to 4 GiB
     * @param mayTrim whether the range may lose its space
     * @param fua return only when these zeros survive a loss of power
     */
    void writeZeroes(long offset, long length, boolean mayTrim, boolean fua) throws NbdException;

    /** Says that nobody needs the range's content; nothing needs to be done. Length up to 4 GiB; fua as above. */
    void trim(long offset, long length, boolean fua) throws NbdException;

    /** Returns when everything that was answered before, on any connection, survives a loss of power. */
    void flush() throws NbdException;

    /** A flush was answered at that time, {@link System#nanoTime()}. */
    default void flushed(long nowNs) {}
}
