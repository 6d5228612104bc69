package io.lockstep.replication.disk;

import io.lockstep.linux.Errno;
import io.lockstep.linux.FileRange;
import io.lockstep.linux.LinuxException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import org.agrona.BufferUtil;

/**
 * A raw image: byte n of the disk is byte n of the file. Zeros that may lose their space become holes, where the file system has any.
 *
 * <p>Any thread, several at once, but for {@link #close()}, which comes after the server's. Two writes of the same bytes at the same time leave
 * either's.
 */
public final class FileExport implements NbdExport, AutoCloseable {
    /** Zeros for file systems that know nothing better: as many as a piece of a write has at most. */
    private static final ByteBuffer ZEROS = ByteBuffer.allocateDirect(NbdServer.PIECE_BYTES_MAX);

    private final String name;
    private final boolean readOnly;
    private final FileRange file;
    private final long sizeBytes;
    private volatile boolean punches = true;
    private volatile boolean zeroes = true;

    /** Opens an existing image, whose length is the disk's from now on. */
    public FileExport(String name, Path image, boolean readOnly) throws LinuxException {
        this.name = name;
        this.readOnly = readOnly;
        file = FileRange.open(image, !readOnly);
        try {
            sizeBytes = file.lengthBytes();
        } catch (LinuxException e) {
            file.close();
            throw e;
        }
    }

    @Override
    public String name() {
        return name;
    }

    @Override
    public long sizeBytes() {
        return sizeBytes;
    }

    @Override
    public boolean readOnly() {
        return readOnly;
    }

    @Override
    public boolean zeroesFast() {
        return punches;
    }

    @Override
    public long extent(long offset, long length) throws NbdException {
        try {
            long data = file.nextData(offset);
            if (data > offset) {
                return -Math.min(data - offset, length);
            }
            return Math.min(file.nextHole(offset) - offset, length);
        } catch (LinuxException e) {
            throw failure(e);
        }
    }

    @Override
    public void read(long offset, ByteBuffer into) throws NbdException {
        try {
            // SAFETY: from position to limit of a direct buffer that the parameter keeps reachable.
            long bytes = file.read(BufferUtil.address(into) + into.position(), into.remaining(), offset);
            // Less than asked for if somebody has cut the file: the server then fails the request.
            into.position(into.position() + (int) bytes);
        } catch (LinuxException e) {
            throw failure(e);
        }
    }

    @Override
    public void write(long offset, ByteBuffer data, boolean fua) throws NbdException {
        try {
            // SAFETY: from position to limit of a direct buffer that the parameter keeps reachable.
            file.write(BufferUtil.address(data) + data.position(), data.remaining(), offset);
            data.position(data.limit());
            if (fua) {
                file.sync();
            }
        } catch (LinuxException e) {
            throw failure(e);
        }
    }

    @Override
    public void writeZeroes(long offset, long length, boolean mayTrim, boolean fua) throws NbdException {
        try {
            if (!(mayTrim ? punched(offset, length) : zeroed(offset, length))) {
                writeZeros(offset, length);
            }
            if (fua) {
                file.sync();
            }
        } catch (LinuxException e) {
            throw failure(e);
        }
    }

    @Override
    public void trim(long offset, long length, boolean fua) throws NbdException {
        try {
            if (punched(offset, length) && fua) {
                file.sync();
            }
        } catch (LinuxException e) {
            throw failure(e);
        }
    }

    @Override
    public void flush() throws NbdException {
        try {
            file.sync();
        } catch (LinuxException e) {
            throw failure(e);
        }
    }

    /** Closes the file. Nothing is flushed. */
    @Override
    public void close() {
        file.close();
    }

    private boolean punched(long offset, long length) throws LinuxException {
        if (punches) {
            try {
                file.punchHole(offset, length);
                return true;
            } catch (LinuxException e) {
                refuseUnlessUnsupported(e);
                punches = false;
            }
        }
        return false;
    }

    private boolean zeroed(long offset, long length) throws LinuxException {
        if (zeroes) {
            try {
                file.zero(offset, length);
                return true;
            } catch (LinuxException e) {
                refuseUnlessUnsupported(e);
                zeroes = false;
            }
        }
        return false;
    }

    /** That the file system cannot do it at all is no failure. */
    private static void refuseUnlessUnsupported(LinuxException e) throws LinuxException {
        if (e.errno() != Errno.EOPNOTSUPP) {
            throw e;
        }
    }

    /** Gigabytes may take long: so an interruption ends it. */
    private void writeZeros(long offset, long length) throws LinuxException, NbdException {
        // SAFETY: a direct buffer that is never freed, and at most its length.
        long address = BufferUtil.address(ZEROS);
        for (long done = 0; done < length; ) {
            if (Thread.interrupted()) {
                throw new NbdException(
                        NbdException.ESHUTDOWN, "interrupted " + done + " bytes into " + length + " zeros");
            }
            long bytes = Math.min(length - done, ZEROS.capacity());
            file.write(address, bytes, offset + done);
            done += bytes;
        }
    }

    private static NbdException failure(LinuxException e) {
        return new NbdException(NbdException.known(e.errno()), String.valueOf(e.getMessage()), e);
    }
}
