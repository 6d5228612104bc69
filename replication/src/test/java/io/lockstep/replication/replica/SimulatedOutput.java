package io.lockstep.replication.replica;

import io.lockstep.replication.RamBlock;
import io.lockstep.replication.disk.SimulatedDisk;
import io.lockstep.replication.link.ControlCodec;
import io.lockstep.replication.link.ControlMessage.Released;
import io.lockstep.replication.link.ControlMessage.VmDied;
import io.lockstep.replication.link.FrameChannel;
import io.lockstep.replication.link.FrameHandler;
import io.lockstep.replication.link.LinkException;
import io.lockstep.replication.link.LiveSender;
import io.lockstep.replication.link.MemoryChannel;
import io.lockstep.replication.link.SessionReply;
import io.lockstep.replication.network.HeldUntil;
import io.lockstep.replication.network.ReleaseGate;
import io.lockstep.replication.wire.EpochAckDecoder;
import io.lockstep.replication.wire.EpochKind;
import io.lockstep.replication.wire.HelloStatus;
import io.lockstep.replication.wire.MessageHeaderDecoder;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import org.agrona.DirectBuffer;
import org.jspecify.annotations.Nullable;

/**
 * A primary whose guest sends a frame with each change of its state, writes its disk now and then before it does, and what the world has seen of
 * it; the real gate, the real rules for held output and the real log of disk writes, and a peer that is real but for its QEMU. The frame's content
 * is the number of changes so far: the world must never have seen a higher one than a promoted state has, and memory and disk of a promoted state
 * are exactly what they were at its boundary.
 */
final class SimulatedOutput implements AutoCloseable {
    private static final int IN_FLIGHT_MAX = 4;
    private static final int PAGE_BYTES = RamBlock.PAGE_BYTES;
    private static final int DISK_PAGES = SimulatedDisk.described().pageCount();
    /** The block of memory that has what the guest has read of its disk. */
    private static final int DISK_MEMORY = 2;

    private static final long NS_PER_MS = 1_000_000;

    /** A rule that is broken on purpose, to see that the check finds it. */
    enum Broken {
        NOTHING,
        OUTPUT_DOES_NOT_WAIT,
        OUTPUT_WAITS_FOR_THE_SENDING,
        OUTPUT_PASSES_BEHIND_A_CUT,
        A_COPY_UNDER_WAY_COUNTS_AS_NOTHING,
        DISK_IS_CUT_LATE,
        DISK_MISSES_WRITES
    }

    /** What a boundary was. */
    private static final class Boundary {
        private final long version;
        private final long memory;
        private final byte[] disk;

        private Boundary(long version, long memory, byte[] disk) {
            this.version = version;
            this.memory = memory;
            this.disk = disk;
        }
    }

    final SimulatedPeer peer;
    private final Map<Long, Boundary> boundaries = new HashMap<>();
    boolean vmAlive = true;
    boolean agentAlive = true;
    boolean partitioned;
    boolean sessionUp;
    /** Whether the guest does nothing between a boundary and its epoch's end. */
    boolean calm;

    long version;
    long seen;
    /** Pages of the disk that referred to memory. */
    long references;

    final List<String> trace = new ArrayList<>();

    private final SimulatedPrimary primary;
    private final @Nullable SimulatedDisk disk;
    private final SplittableRandom random;
    private final Broken broken;
    private final long failureTimeoutNs;
    private final MessageHeaderDecoder header = new MessageHeaderDecoder();
    private final EpochAckDecoder ack = new EpochAckDecoder();
    private final List<Long> frames = new ArrayList<>();
    private long passWhenAcked = Long.MAX_VALUE;
    private HeldUntil until;
    private ReleaseGate gate = new ReleaseGate(1);
    private MemoryChannel.@Nullable Pair pair;
    private @Nullable ClockedChannel toPeer;
    private EpochKind kind = EpochKind.SYNC;
    private long lastEnded = -1;
    private long lastAcked = -1;
    private long firstConsistent = Long.MAX_VALUE;
    private long lastHeardNs;
    private int fencesSeen;

    SimulatedOutput(SimulatedPeer peer, long seed, boolean withDisk, Broken broken) {
        this.peer = peer;
        this.broken = broken;
        random = new SplittableRandom(seed);
        primary = withDisk ? new SimulatedPrimary(seed, 4, 1, DISK_PAGES) : new SimulatedPrimary(seed, 4, 1);
        disk = withDisk ? new SimulatedDisk(seed) : null;
        primary.disks = withDisk ? List.of(SimulatedDisk.described()) : List.of();
        failureTimeoutNs = primary.hello(-1, -1).failureTimeoutMs() * NS_PER_MS;
        until = new HeldUntil((int) (failureTimeoutNs / NS_PER_MS));
    }

    /** What of a promoted state is not as it must be; empty if nothing. */
    String wrong(PromotedVm promoted) throws IOException {
        Boundary boundary = boundaries.get(promoted.epoch());
        if (boundary == null) {
            return "epoch " + promoted.epoch() + " was never promotable; ";
        }
        String found = "";
        if (seen > boundary.version) {
            found += "the world has seen change " + seen + ", the promoted state knows " + boundary.version + "; ";
        }
        if (peer.hash(primary.blocks) != boundary.memory) {
            found += "its memory is not that of its boundary; ";
        }
        if (disk != null && !Arrays.equals(peer.image(0), boundary.disk)) {
            found += "its disk is not that of its boundary; ";
        }
        return found;
    }

    /** What happened, for the message of a failure. */
    void note(String what) {
        trace.add(what + " [version " + version + ", seen " + seen + ", acked " + lastAcked + ", ended " + lastEnded
                + ", "
                + kind + (sessionUp ? ", session" : "") + (partitioned ? ", partitioned" : "")
                + (gate.passing() ? ", passing" : "") + "] peer "
                + peer.replica.status().state().label());
    }

    /** The guest works, and tells the world. */
    void run() {
        if (!vmAlive) {
            return;
        }
        primary.run(1);
        sendFrame();
        if (disk != null) {
            readIntoMemory(disk.content());
        }
    }

    /** The guest has some of what its disk holds in memory. */
    private void readIntoMemory(byte[] content) {
        for (int page = 0; page < DISK_PAGES; page++) {
            byte[] wanted = Arrays.copyOfRange(content, page * PAGE_BYTES, (page + 1) * PAGE_BYTES);
            if (random.nextBoolean() && !Arrays.equals(wanted, memoryPage(page))) {
                System.arraycopy(wanted, 0, primary.memory[DISK_MEMORY], page * PAGE_BYTES, PAGE_BYTES);
                primary.dirty[DISK_MEMORY].set(page);
            }
        }
    }

    private byte[] memoryPage(int page) {
        return Arrays.copyOfRange(primary.memory[DISK_MEMORY], page * PAGE_BYTES, (page + 1) * PAGE_BYTES);
    }

    /** What the guest changes it may write, and then it tells. */
    private void sendFrame() {
        version++;
        if (disk != null && random.nextBoolean()) {
            disk.write(version);
        }
        if (agentAlive) {
            frames.add(version);
            release();
        } else {
            seen = version; // QEMU passes frames by itself
        }
    }

    /** What may leave, leaves. */
    void release() {
        if (vmAlive && agentAlive) {
            if (!sessionUp && !gate.passing() && until.over(now())) {
                gate.pass();
            }
            long allowed = gate.until(0, frames.size());
            long count = broken == Broken.OUTPUT_DOES_NOT_WAIT ? frames.size() : allowed;
            seen = count == 0 ? seen : Math.max(seen, frames.get((int) count - 1));
        }
    }

    /** A session, if there can be one. */
    void connect() {
        if (!vmAlive || !agentAlive || sessionUp || partitioned) {
            return;
        }
        pair = MemoryChannel.pair(100_000, 1_000);
        toPeer = new ClockedChannel(pair.right());
        SessionReply reply = peer.connect(primary.hello(lastAcked, primary.epoch), toPeer);
        if (reply.status() == HelloStatus.PROMOTED) {
            return;
        }
        sessionUp = true;
        lastHeardNs = now();
        until.sessionBegan(reply.promotionWindowMs());
        primary.allDirty();
        passWhenAcked = Long.MAX_VALUE;
        if (disk != null) {
            if (broken == Broken.DISK_MISSES_WRITES && reply.status() == HelloStatus.RESUME) {
                disk.beginWithoutCopy();
            } else {
                disk.begin();
            }
        }
        if (reply.status() == HelloStatus.RESUME) {
            kind = disk == null ? EpochKind.DELTA : EpochKind.SYNC;
            primary.epoch = reply.committedEpoch();
            lastAcked = reply.committedEpoch();
            lastEnded = lastAcked;
            firstConsistent = kind == EpochKind.DELTA ? lastAcked + 1 : Long.MAX_VALUE;
            passWhenAcked = kind == EpochKind.DELTA ? Long.MAX_VALUE : lastAcked + 1;
            gate.resumed(lastAcked);
        } else {
            kind = EpochKind.SYNC;
            lastAcked = -1;
            lastEnded = primary.epoch;
            firstConsistent = Long.MAX_VALUE;
            gate.pass();
        }
        release();
    }

    /** An epoch ends, if the last ones are acknowledged. */
    void epoch() {
        if (!vmAlive || !sessionUp || (kind == EpochKind.DELTA && lastEnded - lastAcked >= IN_FLIGHT_MAX)) {
            return;
        }
        long number = primary.epoch + 1;
        if (kind == EpochKind.DELTA) {
            gate.hold();
            gate.boundary(0, frames.size());
            gate.cut(number);
            boundaries.put(number, new Boundary(version, primary.hash(), disk == null ? new byte[0] : disk.content()));
        }
        takeDisk();
        lastEnded = number;
        try {
            primary.send(kind, SimulatedPrimary.to(pair.left()));
        } catch (LinkException e) {
            lost(e);
            return;
        }
        if (broken == Broken.OUTPUT_WAITS_FOR_THE_SENDING) {
            gate.acknowledged(number);
            release();
        }
        if (kind == EpochKind.SYNC) {
            kind = EpochKind.DELTA;
            firstConsistent = number + 1;
        }
    }

    /** The epoch gets what was written before its boundary, when the guest already runs on, and writes. */
    private void takeDisk() {
        if (disk == null) {
            return;
        }
        long mark = disk.mark();
        for (int late = calm ? 0 : random.nextInt(3); late > 0; late--) {
            sendFrame();
        }
        disk.take(broken == Broken.DISK_IS_CUT_LATE ? disk.mark() : mark);
        int block = primary.blocks.size();
        for (SimulatedDisk.Page page : disk.pages()) {
            boolean refers = kind == EpochKind.DELTA && Arrays.equals(page.content, memoryPage(page.number));
            references += refers ? 1 : 0;
            primary.diskRecords.add(
                    refers
                            ? SimulatedPrimary.reference(block, page.number, DISK_MEMORY, page.number, page.content)
                            : SimulatedPrimary.record(block, page.number, page.content));
        }
    }

    /** The next epoch is cut off in its middle. */
    void cutLink(int afterMessages) {
        if (sessionUp) {
            pair.left().failAfterSends(afterMessages);
        }
    }

    /** Acknowledgements arrive. */
    void takeAcks() {
        if (!sessionUp || partitioned) {
            return;
        }
        FrameHandler handler = (buffer, offset, length) -> {
            if (header.wrap(buffer, offset).templateId() == EpochAckDecoder.TEMPLATE_ID) {
                ack.wrapAndApplyHeader(buffer, offset, header);
                gate.acknowledged(ack.epoch());
                lastAcked = Math.max(lastAcked, ack.epoch());
                if (lastAcked >= passWhenAcked) {
                    passWhenAcked = Long.MAX_VALUE;
                    if (broken == Broken.OUTPUT_PASSES_BEHIND_A_CUT) {
                        gate.pass();
                    } else {
                        gate.passUnlessCut();
                    }
                }
            }
        };
        try {
            boolean more = true;
            while (more) {
                more = pair.left().receive(handler, 0);
            }
        } catch (LinkException e) {
            lost(new LinkException(LinkException.Kind.CLOSED, "link-closed", "peer b:1 closed the connection"));
        }
        release();
    }

    private void lost(LinkException cause) {
        sessionUp = false;
        until.sessionLost(cause, now());
        pair.left().close();
        endDisk();
        release();
    }

    private void endDisk() {
        primary.diskRecords.clear();
        if (disk != null) {
            disk.end();
        }
    }

    /**
     * The agent is killed: what it holds is gone, and the guest's frames pass. Its host tells the peer at once, so not while the cable is cut: a
     * peer that does not learn of it takes its host for dead. That is the one double fault that output commit does not cover.
     */
    void agentDies() {
        if (agentAlive && !partitioned) {
            agentAlive = false;
            frames.clear();
            gate = new ReleaseGate(1);
            until = new HeldUntil((int) (failureTimeoutNs / NS_PER_MS));
            if (sessionUp) {
                sessionUp = false;
                pair.left().close();
                endDisk();
            }
            // Also the end of a connection that was given up before.
            deliver();
        }
    }

    void agentReturns() {
        agentAlive = true;
    }

    /** QEMU is killed; its agent, if it lives, says so. */
    void vmDies() {
        if (!vmAlive) {
            return;
        }
        vmAlive = false;
        if (sessionUp) {
            boolean peerHoldsNothing = kind == EpochKind.SYNC
                    && (passWhenAcked == Long.MAX_VALUE || broken == Broken.A_COPY_UNDER_WAY_COUNTS_AS_NOTHING);
            boolean exact =
                    peerHoldsNothing || (kind == EpochKind.DELTA && lastAcked >= firstConsistent) || gate.exact();
            try {
                ControlCodec.send(
                        pair.left(),
                        exact ? new VmDied(lastAcked, "killed") : new Released(false, "killed, and it was seen"));
            } catch (LinkException e) {
                note("not told: " + e.getMessage());
            }
            pair.left().close();
            sessionUp = false;
        }
    }

    /** Power is cut: silence. */
    void hostDies() {
        vmAlive = false;
        agentAlive = false;
        sessionUp = false;
        partitioned = true;
    }

    /** Time passes on both sides, with heartbeats where they get through. */
    void passMs(int ms) {
        for (int passed = 0; passed < ms; passed += 50) {
            peer.passMs(50);
            peer.replica.keepStandby(now());
            if (sessionUp && !partitioned) {
                heartbeat();
            } else if (sessionUp && now() - lastHeardNs > failureTimeoutNs) {
                lost(new LinkException(LinkException.Kind.TIMEOUT, "peer-silent", "no byte from the peer"));
            }
            deliver();
            release();
        }
    }

    private void heartbeat() {
        lastHeardNs = now();
        try {
            new LiveSender(pair.left()).heartbeat(now(), 0);
        } catch (LinkException e) {
            lost(e);
        }
    }

    /** The peer takes what has come, and acts on what has not. */
    void deliver() {
        if (peer.session != null) {
            peer.takeAll();
        }
        boolean fenced = peer.fences.size() > fencesSeen && peer.fence != null && peer.fence.fenced();
        fencesSeen = peer.fences.size();
        if (fenced) {
            hostDies(); // as it was before the peer promoted: nothing else ran meanwhile
        }
    }

    @Override
    public void close() {
        if (disk != null) {
            disk.close();
        }
    }

    private long now() {
        return peer.nowNs.get();
    }

    /** The peer's end: nothing comes through a cable that is cut, not even the end of the connection. */
    private final class ClockedChannel implements FrameChannel {
        private final MemoryChannel channel;
        private long lastSpokeNs = now();

        ClockedChannel(MemoryChannel channel) {
            this.channel = channel;
        }

        @Override
        public boolean receive(FrameHandler handler, long timeoutMs) throws LinkException {
            return !partitioned
                    && channel.receive(
                            (buffer, offset, length) -> {
                                lastSpokeNs = now();
                                handler.onFrame(buffer, offset, length);
                            },
                            timeoutMs);
        }

        @Override
        public long lastReceivedNs() {
            return lastSpokeNs;
        }

        @Override
        public void send(DirectBuffer message, int offset, int length) throws LinkException {
            channel.send(message, offset, length);
        }

        @Override
        public void flush() throws LinkException {
            channel.flush();
        }

        @Override
        public long sentBytes() {
            return channel.sentBytes();
        }

        @Override
        public String peerFingerprint() {
            return channel.peerFingerprint();
        }

        @Override
        public void close() {
            channel.close();
        }
    }
}
