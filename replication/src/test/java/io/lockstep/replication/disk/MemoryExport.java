package io.lockstep.replication.disk;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** An export that keeps its bytes in an array and remembers what it was asked; fails when told to. */
final class MemoryExport implements NbdExport {
    final byte[] content;
    final List<String> calls = new ArrayList<>();
    volatile boolean readOnly;
    volatile boolean zeroesFast;
    volatile boolean recording = true;
    volatile long failsAt = -1;
    volatile @Nullable RuntimeException bug;
    /** Data and holes take turns, each this long, if it is not 0. */
    volatile long extentBytes;

    MemoryExport(int bytes) {
        content = new byte[bytes];
    }

    synchronized List<String> calls() {
        return List.copyOf(calls);
    }

    @Override
    public String name() {
        return "disk0";
    }

    @Override
    public long sizeBytes() {
        return content.length;
    }

    @Override
    public boolean readOnly() {
        return readOnly;
    }

    @Override
    public boolean zeroesFast() {
        return zeroesFast;
    }

    @Override
    public long extent(long offset, long length) {
        if (extentBytes == 0) {
            return length;
        }
        long extent = Math.min(extentBytes - offset % extentBytes, length);
        return offset / extentBytes % 2 == 0 ? extent : -extent;
    }

    @Override
    public synchronized void read(long offset, ByteBuffer into) throws NbdException {
        check(offset, into.remaining());
        into.put(content, (int) offset, into.remaining());
    }

    @Override
    public synchronized void write(long offset, ByteBuffer data, boolean fua) throws NbdException {
        if (recording) {
            calls.add("write " + offset + " " + data.remaining() + (fua ? " fua" : ""));
        }
        check(offset, data.remaining());
        data.get(content, (int) offset, data.remaining());
    }

    @Override
    public synchronized void writeZeroes(long offset, long length, boolean mayTrim, boolean fua) throws NbdException {
        calls.add("zeroes " + offset + " " + length + (mayTrim ? " trim" : "") + (fua ? " fua" : ""));
        check(offset, length);
        java.util.Arrays.fill(content, (int) offset, (int) (offset + length), (byte) 0);
    }

    @Override
    public synchronized void trim(long offset, long length, boolean fua) throws NbdException {
        calls.add("trim " + offset + " " + length + (fua ? " fua" : ""));
        check(offset, length);
    }

    @Override
    public synchronized void flush() {
        calls.add("flush");
    }

    private void check(long offset, long length) throws NbdException {
        RuntimeException thrown = bug;
        if (thrown != null) {
            throw thrown;
        }
        if (failsAt >= offset && failsAt < offset + length) {
            throw new NbdException(NbdException.EIO, "bad sector at " + failsAt);
        }
    }
}
