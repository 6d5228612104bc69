package io.lockstep.replication.replica;

import static org.assertj.core.api.Assertions.assertThat;

import io.lockstep.replication.link.ControlCodec;
import io.lockstep.replication.link.ControlMessage;
import io.lockstep.replication.link.FrameChannel;
import io.lockstep.replication.link.FrameHandler;
import io.lockstep.replication.link.LinkException;
import io.lockstep.replication.link.MemoryChannel;
import io.lockstep.replication.link.SessionReply;
import io.lockstep.replication.wire.EpochAckDecoder;
import io.lockstep.replication.wire.EpochKind;
import io.lockstep.replication.wire.HelloStatus;
import io.lockstep.replication.wire.MessageHeaderDecoder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.agrona.DirectBuffer;

/** A primary and its peer in one thread, with a clock of their own and a connection that says when it last spoke. */
final class SimulatedHosts implements AutoCloseable {
    final SimulatedPrimary primary = new SimulatedPrimary(5, 64, 8);
    final SimulatedPeer peer;
    private MemoryChannel.Pair pair;
    private long lastSpokeNs;

    SimulatedHosts(Path directory) {
        peer = new SimulatedPeer(directory);
    }

    /** The primary's end of the connection. */
    MemoryChannel toPeer() {
        return pair.left();
    }

    @Override
    public void close() {
        peer.close();
    }

    /** A channel whose bytes came when the simulated clock said. */
    private final class ClockedChannel implements FrameChannel {
        private final MemoryChannel channel;

        ClockedChannel(MemoryChannel channel) {
            this.channel = channel;
            lastSpokeNs = peer.nowNs.get();
        }

        @Override
        public boolean receive(FrameHandler handler, long timeoutMs) throws LinkException {
            return channel.receive(
                    (buffer, offset, length) -> {
                        lastSpokeNs = peer.nowNs.get();
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

    /** A session that begins with this. */
    SessionReply connect(long lastAcked, long lastSent) {
        pair = MemoryChannel.pair(1_000, 1_000);
        return peer.connect(primary.hello(lastAcked, lastSent), new ClockedChannel(pair.right()));
    }

    /** The guest runs, and its epoch is sent and taken. */
    void epoch(EpochKind kind) throws Exception {
        primary.run(10);
        primary.send(kind, SimulatedPrimary.to(pair.left()));
        peer.takeAll();
    }

    /** A session with a consistent replica at epoch 1. */
    void protect() throws Exception {
        assertThat(connect(-1, -1).status()).isEqualTo(HelloStatus.FULL);
        epoch(EpochKind.SYNC);
        epoch(EpochKind.DELTA);
        assertThat(peer.replica.status().state()).isEqualTo(ReplicaState.PROTECTED);
        peer.states.clear();
    }

    /** Another process of the peer's agent, with a fence command that says this. */
    void fenced(boolean fenced, String detail) {
        peer.close();
        peer.fence = new Fence.Outcome(fenced, detail);
        peer.start();
    }

    /** The primary says it. */
    void tell(ControlMessage message) throws Exception {
        ControlCodec.send(pair.left(), message);
        peer.takeAll();
    }

    /** What the peer has said since, but for acknowledgements. */
    List<ControlMessage> answers() throws Exception {
        List<ControlMessage> answers = new ArrayList<>();
        FrameHandler handler = (buffer, offset, length) -> {
            if (new MessageHeaderDecoder().wrap(buffer, offset).templateId() != EpochAckDecoder.TEMPLATE_ID) {
                answers.add(ControlCodec.decode(buffer, offset, length));
            }
        };
        try {
            while (pair.left().receive(handler, 0)) {
                assertThat(answers.size()).isLessThan(1_000);
            }
        } catch (LinkException e) {
            assertThat(e.kind()).isEqualTo(LinkException.Kind.CLOSED);
        }
        return answers;
    }

    /** So much time passes without a word. */
    void silentMs(long ms) {
        peer.passMs(ms);
        peer.takeAll();
    }
}
