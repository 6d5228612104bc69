package io.lockstep.replication.network;

import io.lockstep.linux.EventCounter;
import io.lockstep.linux.LinuxException;
import io.lockstep.linux.Pidfd;
import io.lockstep.linux.Poll;
import io.lockstep.replication.DutyCycle;
import io.lockstep.replication.LockstepException;
import io.lockstep.replication.hypervisor.QmpConnection;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.locks.LockSupport;
import java.util.function.LongConsumer;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Holds what a VM sends until the peer has the epoch that it belongs to.
 *
 * <pre>
 *   capture thread:  boundary() in each hold, cut(epoch) before its end is sent       session's thread: acknowledged(epoch)
 *                          |                                                                 |
 *   hold's thread:   receive ... | what had been received at the boundary belongs to the epoch | ... send
 * </pre>
 *
 * <p>Invariants: While {@link #holding()}, a frame leaves only after the acknowledgement of an epoch whose boundary came after it. Frames of a
 * netdev leave in order. QEMU never waits for us longer than this process lives: what has no room is dropped. Nothing is allocated per frame, but
 * for the last ones of a planned move.
 *
 * <p>Threads: one of its own, from {@link #install} to {@link #remove} or {@link #close}; each method says who else calls it.
 */
public final class OutputHold implements AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(OutputHold.class);

    /** Only a bound: every reason to do something wakes the thread. */
    private static final long IDLE_NS = 1_000_000_000L;

    /** QEMU takes what it is sent within its main loop's turn, unless a pause is on. */
    private static final long FLUSH_TIMEOUT_NS = 1_000_000_000L;

    private static final long FLUSH_POLL_NS = 200_000;
    private static final long END_TIMEOUT_MS = 5_000;

    /** What was released right before is on its way to QEMU for less than this, unless its host is overloaded. */
    private static final long BYPASS_TIMEOUT_NS = 50_000_000L;

    /** In the pause: what QEMU has written is in our socket, and the hold's thread has only to take it. */
    private static final long SETTLE_TIMEOUT_NS = 10_000_000L;

    private static final long SETTLE_POLL_NS = 20_000;

    private final String vmName;
    private final List<NetDevice> devices;
    private final int logBytes;
    private final EventCounter request;
    private final LongConsumer releasedNs;
    private final DutyCycle rounds = DutyCycle.idle();
    private volatile List<HeldLine> lines = List.of();
    private @Nullable EventCounter wake;
    private @Nullable Thread thread;
    private volatile ReleaseGate gate = new ReleaseGate(0);
    private volatile boolean ending;
    private volatile long ackedNs;
    private volatile @Nullable LockstepException failure;

    /**
     * Nothing is touched yet.
     *
     * @param devices those to hold; others are none of its business
     * @param logBytes of each netdev's log, a power of two
     * @param request signalled when a frame waits for an epoch's end, and when holding has failed
     * @param releasedNs learns the time from each acknowledgement to the last of its frames being sent on
     */
    public OutputHold(
            String vmName, List<NetDevice> devices, int logBytes, EventCounter request, LongConsumer releasedNs) {
        this.vmName = vmName;
        this.devices = List.copyOf(devices);
        this.logBytes = logBytes;
        this.request = request;
        this.releasedNs = releasedNs;
    }

    /** Whether an object in QEMU is a filter of ours; any thread. */
    public static boolean owns(String object) {
        return NetFilter.owns(object);
    }

    /** Takes away what an agent that died left in QEMU; the thread that has the monitor. */
    public static void removeLeftovers(QmpConnection qmp) throws LockstepException {
        NetFilter.removeAll(qmp);
    }

    /**
     * What QEMU says of filters on netdevs that look as if they took them; it knows of vhost on a netdev that it got later, or under no name of
     * its own. Frames pass meanwhile, and nothing is left. The thread that has the monitor; after {@link #removeLeftovers}.
     */
    public static List<NetDevice> tried(QmpConnection qmp, List<NetDevice> devices) throws LockstepException {
        List<NetDevice> tried = new ArrayList<>();
        for (NetDevice device : devices) {
            tried.add(device.holdable() ? NetFilter.tried(qmp, device) : device);
        }
        return tried;
    }

    /**
     * Puts the filters in place; frames pass until the first {@link #boundary}. The thread that has the monitor.
     *
     * @throws LockstepException {@code output-not-holdable} if QEMU refuses a netdev; nothing is left in it then
     */
    public void install(QmpConnection qmp) throws LockstepException {
        if (devices.isEmpty() || installed()) {
            return;
        }
        List<HeldLine> made = new ArrayList<>();
        boolean done = false;
        try {
            for (NetDevice device : devices) {
                made.add(new HeldLine(device, filter(qmp, made.size(), device), new OutputLog(logBytes)));
            }
            start(made);
            done = true;
        } catch (LinuxException e) {
            throw failed(e);
        } finally {
            if (!done) {
                made.forEach(HeldLine::close);
                NetFilter.removeAll(qmp);
            }
        }
    }

    private NetFilter filter(QmpConnection qmp, int number, NetDevice device) throws LockstepException {
        try {
            return NetFilter.install(qmp, number, device, logBytes);
        } catch (LockstepException e) {
            if (e.code().equals("qmp-error")) {
                NetDevices.requireHoldable(List.of(NetDevices.refused(device, String.valueOf(e.getMessage()))));
            }
            throw e;
        }
    }

    private void start(List<HeldLine> made) throws LinuxException {
        EventCounter fresh = new EventCounter();
        wake = fresh;
        ending = false;
        failure = null;
        ReleaseGate freshGate = new ReleaseGate(made.size());
        gate = freshGate;
        lines = List.copyOf(made);
        Thread started = new Thread(() -> run(made.toArray(new HeldLine[0]), freshGate, fresh), "output-" + vmName);
        started.setDaemon(true);
        thread = started;
        started.start();
    }

    // ------------------------------------------------------------------ capture thread

    /** Whether the filters are in place. */
    public boolean installed() {
        return !lines.isEmpty();
    }

    /** Whether frames wait for acknowledgements; any thread. */
    public boolean holding() {
        return installed() && !gate.passing();
    }

    /** Whether nothing has left that the last acknowledged epoch does not cover. */
    public boolean exact() {
        return installed() && gate.exact();
    }

    /** In a hold, behind the boundary: what has been received by now belongs to this epoch, and from now on nothing leaves unacknowledged. */
    public void boundary() {
        ReleaseGate present = gate;
        present.hold();
        List<HeldLine> all = lines;
        for (int i = 0; i < all.size(); i++) {
            present.boundary(i, all.get(i).log.tail());
        }
    }

    /** The last boundary is this epoch's: to be called before its end is sent. */
    public void cut(long epoch) {
        if (installed()) {
            gate.cut(epoch);
        }
    }

    /** Whether a frame waits for the epoch under way to end. */
    public boolean wantsEpoch() {
        ReleaseGate present = gate;
        List<HeldLine> all = lines;
        for (int i = 0; i < all.size(); i++) {
            if (present.waits(i, all.get(i).log.tail())) {
                return true;
            }
        }
        return false;
    }

    /** Whether the epoch must end at once, or frames would be dropped soon. */
    public boolean filling() {
        ReleaseGate present = gate;
        List<HeldLine> all = lines;
        for (int i = 0; i < all.size(); i++) {
            OutputLog log = all.get(i).log;
            if (log.filling() && present.waits(i, log.tail())) {
                return true;
            }
        }
        return false;
    }

    /** Lets everything go, now and from now on, until the next {@link #boundary}. */
    public void pass() {
        gate.pass();
        signal();
    }

    /** As {@link #pass}, when a session begins with a peer that has nothing it could promote. */
    public void passAnew() {
        gate.passAnew();
        signal();
    }

    /** As {@link #pass}, unless an epoch was cut since the session began: what came after that boundary could be contradicted. */
    public void passUnlessCut() {
        gate.passUnlessCut();
        signal();
    }

    /**
     * A new session goes on after an epoch that the peer holds; epochs after it will be made again.
     *
     * @param committedEpoch of the replica
     */
    public void resumed(long committedEpoch) {
        gate.resumed(committedEpoch);
        signal();
    }

    /**
     * From now on frames leave past QEMU where their netdev is a tap, because this QEMU is about to stand still for good. Before the VM is held;
     * the thread that has the monitor.
     *
     * @throws LockstepException what the monitor said
     */
    public void bypass(QmpConnection qmp, Pidfd process) throws LockstepException {
        List<HeldLine> present = lines;
        for (HeldLine line : present) {
            TapOutput tap = TapOutput.open(qmp, process, line.device).orElse(null);
            line.bypass(tap);
            if (tap == null) {
                LOG.info(
                        "{}: netdev {} is no tap: what is held when the VM stands still is lost, as a network may lose it",
                        vmName,
                        line.device.name());
            }
        }
        signal();
        await(BYPASS_TIMEOUT_NS, FLUSH_POLL_NS, () -> {
            signal();
            return present.stream().allMatch(HeldLine::drained);
        });
        List<HeldLine> drained = present.stream().filter(HeldLine::drained).toList();
        // Its main loop sends on what it receives before it answers: no frame overtakes one that QEMU had received.
        qmp.execute("query-status");
        drained.forEach(HeldLine::leave);
        for (HeldLine line : present) {
            if (!drained.contains(line)) {
                line.rejoin();
                LOG.warn(
                        "{}: QEMU does not take what netdev {} was sent: what is held when the VM stands still is lost",
                        vmName,
                        line.device.name());
            }
        }
        signal();
    }

    /** The VM runs on here: frames leave through QEMU again. */
    public void rejoin() {
        for (HeldLine line : lines) {
            line.rejoin();
        }
        signal();
    }

    /** All that QEMU has written belongs to the epoch whose boundary comes next; the VM stands still. */
    public void settle() {
        List<HeldLine> present = lines;
        await(SETTLE_TIMEOUT_NS, SETTLE_POLL_NS, () -> {
            for (HeldLine line : present) {
                if (!line.settled()) {
                    return false;
                }
            }
            return true;
        });
    }

    /** Returns when all that leaves past QEMU has left; the VM stands still, and its last epoch is acknowledged. */
    public void awaitLeft() {
        List<HeldLine> present = lines;
        await(BYPASS_TIMEOUT_NS, SETTLE_POLL_NS, () -> present.stream().allMatch(HeldLine::left));
    }

    private interface Condition {
        boolean holds() throws LinuxException;
    }

    /** Waits for the hold's thread, but never long. */
    private void await(long timeoutNs, long pollNs, Condition condition) {
        long deadlineNs = System.nanoTime() + timeoutNs;
        try {
            while (!condition.holds() && failure == null && System.nanoTime() - deadlineNs < 0) {
                LockSupport.parkNanos(this, pollNs);
            }
        } catch (LinuxException e) {
            LOG.debug("{}: {}", vmName, e.getMessage());
        }
    }

    /** @throws LockstepException {@code output-hold-failed}, once holding has failed */
    public void check() throws LockstepException {
        LockstepException cause = failure;
        if (cause != null) {
            throw cause;
        }
    }

    /**
     * Without one of its filters, what the VM sends is not held, or is dropped.
     *
     * @param objects of QEMU that are filters of ours
     * @throws LockstepException {@code output-hold-failed} if one is missing
     */
    public void requireFilters(Set<String> objects) throws LockstepException {
        for (HeldLine line : lines) {
            for (String name : line.filter.names()) {
                if (!objects.contains(name)) {
                    throw new LockstepException(
                            "output-hold-failed",
                            vmName + ": somebody removed the filter " + name
                                    + " from QEMU: output is not held any more. Protect the VM again.");
                }
            }
        }
    }

    /**
     * Sends on what is held and takes the filters away; the thread that has the monitor. Where somebody else took some of them, the others go all
     * the same: one that stayed, without our end of its socket, would drop what the VM sends.
     *
     * @throws LockstepException what the monitor said; our ends are closed all the same
     */
    public void remove(QmpConnection qmp) throws LockstepException {
        List<HeldLine> present = lines;
        if (present.isEmpty()) {
            return;
        }
        try {
            pass();
            flush(present);
            for (HeldLine line : present) {
                line.filter.stopCapture(qmp);
            }
            flush(present);
            // Before QEMU closes its ends: that is no surprise now.
            ending = true;
            for (HeldLine line : present) {
                line.filter.remove(qmp);
            }
        } catch (LockstepException e) {
            LOG.warn("{}: filters are not as they were put in place: {}", vmName, e.getMessage());
            ending = true;
            NetFilter.removeAll(qmp);
        } finally {
            close();
        }
    }

    /** Returns when QEMU has taken all that was held, or will not. */
    private void flush(List<HeldLine> present) throws LockstepException {
        long deadlineNs = System.nanoTime() + FLUSH_TIMEOUT_NS;
        for (HeldLine line : present) {
            try {
                while (failure == null && (line.log.heldBytes() > 0 || waits(line))) {
                    if (System.nanoTime() > deadlineNs) {
                        LOG.warn("{}: {} held bytes were not taken by QEMU", vmName, line.log.heldBytes());
                        return;
                    }
                    LockSupport.parkNanos(this, FLUSH_POLL_NS);
                }
            } catch (LinuxException e) {
                throw failed(e);
            }
        }
    }

    private static boolean waits(HeldLine line) throws LinuxException {
        return line.filter.injected().unreceivedBytes() > 0;
    }

    /** Lets go of everything without QEMU: one that is gone, or whose filters somebody else removes. */
    @Override
    public void close() {
        List<HeldLine> present = lines;
        lines = List.of();
        ending = true;
        signal();
        Thread running = thread;
        thread = null;
        if (running != null) {
            try {
                running.join(END_TIMEOUT_MS);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }
        present.forEach(HeldLine::close);
        EventCounter counter = wake;
        wake = null;
        if (counter != null) {
            counter.close();
        }
    }

    // ------------------------------------------------------------------ session's thread

    /** The peer holds the epoch: its frames may leave. */
    public void acknowledged(long epoch, long nowNs) {
        if (gate.acknowledged(epoch)) {
            ackedNs = nowNs;
            signal();
        }
    }

    private void signal() {
        EventCounter counter = wake;
        if (counter != null) {
            counter.signal();
        }
    }

    // ------------------------------------------------------------------ own thread

    private void run(HeldLine[] all, ReleaseGate present, EventCounter waker) {
        Poll poll = new Poll(1 + 2 * all.length);
        poll.set(0, waker.fd(), Poll.IN);
        for (int i = 0; i < all.length; i++) {
            poll.set(1 + 2 * i, all[i].filter.captured().fd(), Poll.IN);
        }
        try {
            while (!ending) {
                rounds.rest(System.nanoTime());
                poll.await(IDLE_NS);
                rounds.mark(System.nanoTime());
                if (poll.ready(0) != 0) {
                    waker.drain();
                }
                boolean asked = false;
                for (int i = 0; i < all.length; i++) {
                    if (poll.ready(1 + 2 * i) != 0) {
                        asked |= receive(all[i], i, present);
                    }
                }
                if (asked) {
                    request.signal();
                }
                release(all, present, poll);
            }
        } catch (LinuxException e) {
            fail(all, failed(e));
        } catch (LockstepException e) {
            fail(all, e);
        } catch (RuntimeException | Error e) {
            LOG.error("{}: holding output failed", vmName, e);
            fail(all, new LockstepException("output-hold-failed", "unexpected: " + e, e));
        } finally {
            rounds.rest(System.nanoTime());
        }
    }

    /** True if the first frame since the last cut came, or the log fills. */
    private boolean receive(HeldLine line, int number, ReleaseGate present) throws LockstepException, LinuxException {
        OutputLog log = line.log;
        long before = log.tail();
        boolean filled = log.filling();
        if (!line.receive() && !ending) {
            throw gone(line);
        }
        return log.tail() > before
                && (present.firstSinceCut(before, number) || (log.filling() && !filled && !present.passing()));
    }

    private void release(HeldLine[] all, ReleaseGate present, Poll poll) throws LockstepException, LinuxException {
        boolean news = present.apply();
        for (int i = 0; i < all.length; i++) {
            HeldLine line = all[i];
            if (!line.release(present.until(i, line.log.tail())) && !ending) {
                throw gone(line);
            }
            boolean more = line.waitsForRoom();
            poll.set(2 + 2 * i, more ? line.filter.injected().fd() : -1, more ? Poll.OUT : 0);
        }
        if (news) {
            releasedNs.accept(System.nanoTime() - ackedNs);
        }
    }

    private LockstepException gone(HeldLine line) {
        return new LockstepException(
                "output-hold-failed",
                "QEMU closed the filter on netdev " + line.device.name() + ": somebody removed it, and " + vmName
                        + " sends unheld. Protect it again.");
    }

    private void fail(HeldLine[] all, LockstepException cause) {
        failure = cause;
        for (HeldLine line : all) {
            line.filter.closeSockets();
        }
        request.signal();
    }

    private LockstepException failed(LinuxException e) {
        return new LockstepException("output-hold-failed", vmName + ": holding output failed: " + e.getMessage(), e);
    }

    // ------------------------------------------------------------------ any thread

    /** How regularly its thread comes round, over all that it is installed. */
    public DutyCycle rounds() {
        return rounds;
    }

    /** The netdevs that are held, or would be. */
    public List<NetDevice> devices() {
        return devices;
    }

    /** Frames that were held or passed since the filters were put in place. */
    public long frames() {
        return lines.stream().mapToLong(line -> line.log.frames()).sum();
    }

    /** Frames for which there was no room. */
    public long droppedFrames() {
        return lines.stream().mapToLong(line -> line.log.dropped()).sum();
    }

    /** Bytes that wait now. */
    public long heldBytes() {
        return lines.stream().mapToLong(line -> line.log.heldBytes()).sum();
    }
}
