package io.lockstep.replication.network;

import io.lockstep.linux.LinuxException;
import io.lockstep.replication.LockstepException;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * One netdev whose output is held: its filters, its log, and the way that its frames take out of it, through QEMU or past it.
 *
 * <pre>
 *   through QEMU -- bypass(tap) --> QEMU gets the rest that it is owed, no more -- drained(), QEMU has sent it on, leave() --> past QEMU
 *        ^                                                                                                                      |
 *        +---------------------------------------------------- rejoin() -------------------------------------------------------+
 * </pre>
 *
 * <p>Invariants: No frame goes in two pieces or overtakes another, so the way changes only when QEMU has sent on all of what it was sent. A tap is
 * closed once nobody wants it.
 *
 * <p>Threads: the capture thread says which way is wanted, the hold's thread takes it; each method says whose it is.
 */
final class HeldLine {
    final NetDevice device;
    final NetFilter filter;
    final OutputLog log;
    /** The way past QEMU, if it is to be taken; the capture thread's. */
    private volatile @Nullable TapOutput wanted;
    /** The way past QEMU that QEMU was drained for, if it was; the hold's thread's. */
    private volatile @Nullable TapOutput drained;
    /** The way past QEMU, once it may be taken; the capture thread's. */
    private volatile @Nullable TapOutput ready;
    /** The way past QEMU, if it is taken; the hold's thread's. */
    private volatile @Nullable TapOutput used;
    /** A way that is not wanted any more; for the hold's thread to close. */
    private volatile @Nullable TapOutput discarded;
    /** The hold's thread takes frames and has not counted them yet. */
    private volatile boolean receiving;
    /** Position up to which QEMU was sent frames, or is still to be sent the rest; the hold's thread's. */
    private long owed;

    HeldLine(NetDevice device, NetFilter filter, OutputLog log) {
        this.device = device;
        this.filter = filter;
        this.log = log;
    }

    // ------------------------------------------------------------------ capture thread

    /** Frames shall leave this way, and QEMU gets no more than it is owed; null: they leave through QEMU. */
    void bypass(@Nullable TapOutput tap) {
        wanted = tap;
    }

    /** Whether QEMU has received all that it is owed, if another way is wanted. */
    boolean drained() {
        return drained == wanted;
    }

    /** QEMU was drained, and has sent on what it received: frames leave the way that is wanted. */
    void leave() {
        ready = wanted;
    }

    /** Frames leave through QEMU again. */
    void rejoin() {
        TapOutput unwanted = wanted;
        wanted = null;
        if (unwanted != null) {
            discarded = unwanted;
        }
    }

    /** Whether all that QEMU has written is in the log; QEMU stands still. */
    boolean settled() throws LinuxException {
        // In this order: what is taken from the socket in between is seen as being received.
        return filter.captured().waitingBytes() == 0 && !receiving;
    }

    /** Whether nothing is held that leaves past QEMU. */
    boolean left() {
        TapOutput tap = wanted;
        return tap == null || (used == tap && log.heldBytes() == 0);
    }

    // ------------------------------------------------------------------ hold's thread

    /** Takes what QEMU has written; false if QEMU has closed. */
    boolean receive() throws LockstepException, LinuxException {
        receiving = true;
        boolean open = log.receive(filter.captured()) >= 0;
        receiving = false;
        return open;
    }

    /** Sends what lies before a position, as far as there is room for it; false if QEMU has closed. */
    boolean release(long until) throws LockstepException, LinuxException {
        follow();
        TapOutput tap = used;
        if (tap != null) {
            log.send(tap, until);
            return true;
        }
        if (wanted == null) {
            owed = Math.max(owed, until);
        }
        return log.sent() >= owed || log.send(filter.injected(), owed);
    }

    /** Whether QEMU is to take more. */
    boolean waitsForRoom() {
        return used == null && log.sent() < owed;
    }

    private void follow() throws LinuxException {
        TapOutput next = wanted;
        TapOutput last = used;
        if (next == null || (log.sent() >= owed && filter.injected().unreceivedBytes() == 0)) {
            drained = next;
        }
        if (next != last && (next == null || next == ready)) {
            used = next;
            if (last != null) {
                last.close();
            }
        }
        TapOutput old = discarded;
        if (old != null && old != used) {
            discarded = null;
            old.close();
        }
    }

    // ------------------------------------------------------------------ after that thread's end

    void close() {
        for (TapOutput each : Arrays.asList(used, wanted, discarded)) {
            if (each != null) {
                each.close();
            }
        }
        filter.closeSockets();
    }
}
