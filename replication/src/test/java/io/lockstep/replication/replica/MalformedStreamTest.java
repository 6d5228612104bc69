package io.lockstep.replication.replica;

import static org.assertj.core.api.Assertions.assertThat;

import io.lockstep.replication.link.MemoryChannel;
import io.lockstep.replication.wire.EpochKind;
import io.lockstep.replication.wire.HelloStatus;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.Collections;
import java.util.List;
import java.util.SplittableRandom;
import org.agrona.concurrent.UnsafeBuffer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Streams that break a rule, thousands from a seed: the session ends with one line, the replica stays at its last committed epoch. */
class MalformedStreamTest {
    private static final int CASES = 3_000;
    private static final long SEED = 11;

    @TempDir
    Path directory;

    private final SplittableRandom random = new SplittableRandom(SEED);
    private final SimulatedPrimary primary = new SimulatedPrimary(SEED, 24, 4);

    @Test
    void shouldStayAtTheLastCommittedEpochWhenTheStreamIsMalformed() throws Exception {
        try (SimulatedPeer peer = new SimulatedPeer(directory)) {
            MemoryChannel.Pair first = MemoryChannel.pair(1_000, 1_000);
            peer.connect(primary.hello(-1, -1), first.right());
            primary.send(EpochKind.SYNC, SimulatedPrimary.to(first.left()));
            primary.send(EpochKind.DELTA, SimulatedPrimary.to(first.left()));
            peer.takeAll();
            int refused = 0;
            for (int i = 0; i < CASES; i++) {
                refused += malformed(peer, "seed " + SEED + ", case " + i) ? 1 : 0;
            }
            assertThat(refused).isGreaterThan(CASES * 3 / 4);
            assertThat(peer.replica.status().state()).isNotEqualTo(ReplicaState.EMPTY);
        }
    }

    /** Returns whether the stream was refused; a change that no rule forbids, such as of a time, may pass. */
    private boolean malformed(SimulatedPeer peer, String as) throws Exception {
        long before = primary.epoch;
        long hashBefore = primary.hash();
        assertThat(peer.hash(primary.blocks)).as(as).isEqualTo(hashBefore);
        MemoryChannel.Pair pair = MemoryChannel.pair(1_000, 1_000);
        assertThat(peer.connect(primary.hello(before, before + 1), pair.right()).status())
                .as(as)
                .isEqualTo(HelloStatus.RESUME);
        primary.run(6);
        BitSet[] dirty = new BitSet[] {(BitSet) primary.dirty[0].clone(), (BitSet) primary.dirty[1].clone()};
        List<byte[]> messages = new ArrayList<>();
        primary.send(EpochKind.DELTA, message -> {
            byte[] copy = new byte[message.length()];
            message.buffer().getBytes(0, copy);
            messages.add(copy);
        });
        harm(messages);
        peer.errors.clear();
        for (byte[] message : messages) {
            pair.left().send(new UnsafeBuffer(message), 0, message.length);
        }
        peer.takeAll();
        long committed = peer.replica.status().committedEpoch();
        boolean refused = !peer.errors.isEmpty();
        if (committed == before) {
            primary.epoch = before;
            primary.dirty[0].or(dirty[0]);
            primary.dirty[1].or(dirty[1]);
            // The next case compares with what is committed: send the pages again, unharmed.
            MemoryChannel.Pair again = MemoryChannel.pair(1_000, 1_000);
            peer.connect(primary.hello(before, before + 1), again.right());
            primary.send(EpochKind.DELTA, SimulatedPrimary.to(again.left()));
            peer.takeAll();
        }
        assertThat(peer.errors).as(as).hasSizeLessThanOrEqualTo(1);
        assertThat(peer.replica.status().committedEpoch()).as(as).isEqualTo(before + 1);
        return refused;
    }

    private void harm(List<byte[]> messages) {
        int at = random.nextInt(messages.size());
        byte[] message = messages.get(at);
        switch (random.nextInt(7)) {
            case 0 -> messages.set(at, java.util.Arrays.copyOf(message, random.nextInt(message.length)));
            case 1 -> messages.set(at, java.util.Arrays.copyOf(message, message.length + 1 + random.nextInt(50)));
            case 2 -> message[random.nextInt(message.length)] ^= (byte) (1 << random.nextInt(8));
            case 3 -> messages.add(at, message);
            case 4 -> messages.remove(at);
            case 5 -> {
                if (messages.size() > 1) {
                    Collections.swap(messages, at, (at + 1) % messages.size());
                } else {
                    messages.clear();
                }
            }
            default -> {
                byte[] noise = new byte[1 + random.nextInt(300)];
                random.nextBytes(noise);
                messages.add(at, noise);
            }
        }
    }
}
