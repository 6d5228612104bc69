package io.lockstep.replication.network;

import io.lockstep.linux.LinuxException;
import io.lockstep.linux.NativeBlock;
import io.lockstep.linux.UnixSocket;
import io.lockstep.replication.LockstepException;
import java.util.concurrent.atomic.AtomicLong;

/**
 * The frames of one netdev, as QEMU's filter wrote them, in a ring of direct memory: received and sent in as few calls as there are pieces.
 *
 * <pre>
 *   sent              tail (end of the last whole frame)   filled
 *    |  held frames    |   a frame in part                  |   room   | reserve for the rest of one frame |
 *   be32 length | packet | be32 length | packet | ...
 * </pre>
 *
 * <p>Invariants: Frames leave in the order in which they came, and whole. What is received never overwrites what is not sent: with no room
 * left, frames are dropped whole, as a network may do, so that QEMU never waits for us. Positions count bytes since the beginning.
 *
 * <p>All methods on one thread, but for the queries.
 */
final class OutputLog {
    /** QEMU's NET_BUFSIZE: the largest packet with the largest offload. */
    static final int PACKET_BYTES_MAX = 4096 + 65536;

    private static final int HEADER_BYTES = 4;
    private static final int FRAME_BYTES_MAX = HEADER_BYTES + PACKET_BYTES_MAX;

    private final NativeBlock memory;
    private final NativeBlock scratch = new NativeBlock(1 << 16);
    private final int capacity;
    private long filled;
    private volatile long tail;
    private volatile long sent;
    private final AtomicLong frames = new AtomicLong();
    private final AtomicLong dropped = new AtomicLong();
    private long sendCalls;
    private int skipHeader;
    private int skipLeft;

    /** @param bytes a power of two, at least four times the largest frame */
    OutputLog(int bytes) {
        if (Integer.bitCount(bytes) != 1 || bytes < 4 * FRAME_BYTES_MAX) {
            throw new IllegalArgumentException(
                    "log bytes " + bytes + " are no power of two of at least " + 4 * FRAME_BYTES_MAX);
        }
        capacity = bytes;
        memory = new NativeBlock(bytes);
    }

    /** Position behind the last whole frame; any thread. */
    long tail() {
        return tail;
    }

    /** Position up to which frames have left; any thread. */
    long sent() {
        return sent;
    }

    /** Bytes of whole frames that are held; any thread. */
    long heldBytes() {
        return tail - sent;
    }

    /** Whether an epoch should end at once, while there is still room for what comes until it is acknowledged; any thread. */
    boolean filling() {
        return heldBytes() >= capacity / 2;
    }

    /** Frames received and kept since the beginning; any thread. */
    long frames() {
        return frames.get();
    }

    /** Frames for which there was no room; any thread. */
    long dropped() {
        return dropped.get();
    }

    /** System calls that frames have left in. */
    long sendCalls() {
        return sendCalls;
    }

    /**
     * Receives all that is there.
     *
     * @return bytes received; -1 if QEMU has closed
     * @throws LockstepException {@code output-corrupt} if it is not what QEMU's filter writes
     */
    int receive(UnixSocket from) throws LockstepException, LinuxException {
        int total = 0;
        while (true) {
            int wanted;
            int count;
            long room = capacity - (filled - sent) - FRAME_BYTES_MAX;
            if (skipHeader == 0 && (room > 0 || filled > tail)) {
                long most = room > 0 ? room : missing();
                wanted = (int) Math.min(most, capacity - index(filled));
                count = from.receive(memory.address() + index(filled), wanted);
                if (count > 0) {
                    filled += count;
                    findFrames();
                }
            } else {
                wanted = skipHeader < HEADER_BYTES ? HEADER_BYTES - skipHeader : Math.min(skipLeft, scratch.length());
                count = from.receive(scratch.address() + (skipHeader < HEADER_BYTES ? skipHeader : 0), wanted);
                if (count > 0) {
                    skip(count);
                }
            }
            if (count < 0) {
                return -1;
            }
            total += count;
            if (count < wanted) {
                return total;
            }
        }
    }

    /** Sends what lies before a position, as far as there is room for it; false if QEMU has closed. */
    boolean send(UnixSocket to, long until) throws LinuxException {
        long from = sent;
        while (from < until) {
            int piece = (int) Math.min(until - from, capacity - index(from));
            int count = to.send(memory.address() + index(from), piece);
            sendCalls++;
            if (count < 0) {
                return false;
            }
            from += count;
            sent = from;
            if (count < piece) {
                return true;
            }
        }
        return true;
    }

    /**
     * Sends what lies before a position past QEMU, frame by frame; one that the tap refuses is dropped, as a network may do.
     *
     * @throws LockstepException {@code output-corrupt}
     */
    void send(TapOutput to, long until) throws LockstepException {
        while (sent < until) {
            long packet = sent + HEADER_BYTES;
            int length = length(sent);
            int piece = Math.min(length, capacity - index(packet));
            to.frame()
                    .put(memory.buffer().slice(index(packet), piece))
                    .put(memory.buffer().slice(0, length - piece));
            try {
                to.send(length);
                sendCalls++;
            } catch (LinuxException e) {
                dropped.incrementAndGet();
            }
            sent = packet + length;
        }
    }

    private int index(long position) {
        return (int) (position & (capacity - 1));
    }

    /** Bytes of the frame at the tail, of which a part is there, that are not. */
    private long missing() throws LockstepException {
        long have = filled - tail;
        return have < HEADER_BYTES ? HEADER_BYTES - have : HEADER_BYTES + length(tail) - have;
    }

    private void findFrames() throws LockstepException {
        long at = tail;
        long count = 0;
        while (filled - at >= HEADER_BYTES) {
            long end = at + HEADER_BYTES + length(at);
            if (end > filled) {
                break;
            }
            at = end;
            count++;
        }
        if (count > 0) {
            frames.addAndGet(count);
            tail = at;
        }
    }

    private int length(long position) throws LockstepException {
        int length = 0;
        for (int i = 0; i < HEADER_BYTES; i++) {
            length = (length << 8) | (memory.buffer().get(index(position + i)) & 0xFF);
        }
        return checked(length);
    }

    private static int checked(int length) throws LockstepException {
        if (length < 1 || length > PACKET_BYTES_MAX) {
            throw new LockstepException(
                    "output-corrupt",
                    "frame length " + length + " from QEMU's filter is not in 1.." + PACKET_BYTES_MAX);
        }
        return length;
    }

    private void skip(int count) throws LockstepException {
        if (skipHeader < HEADER_BYTES) {
            skipHeader += count;
            if (skipHeader < HEADER_BYTES) {
                return;
            }
            int length = 0;
            for (int i = 0; i < HEADER_BYTES; i++) {
                length = (length << 8) | (scratch.buffer().get(i) & 0xFF);
            }
            skipLeft = checked(length);
            return;
        }
        skipLeft -= count;
        if (skipLeft == 0) {
            skipHeader = 0;
            dropped.incrementAndGet();
        }
    }
}
