package io.lockstep.replication.replica;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import io.lockstep.replication.journal.JournalLimits;
import io.lockstep.replication.wire.AckLevel;
import io.lockstep.replication.wire.EpochKind;
import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.agrona.concurrent.UnsafeBuffer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Receiving, journalling and applying allocate nothing per page, and next to nothing per epoch. */
class ReceiveAllocationTest {
    private static final int WARM_UP = 300;
    private static final int MEASURED = 300;
    private static final long EPOCH_BYTES_MAX = 512; // well under one object per page of 60 and more

    @TempDir
    Path directory;

    private record Message(int template, UnsafeBuffer buffer, int length) {}

    @Test
    void shouldAllocateNothingPerPage() throws Exception {
        SimulatedPrimary primary = new SimulatedPrimary(9, 512, 16);
        ReplicaConfig config = SimulatedPeer.config(
                directory.resolve("state"),
                directory.resolve("memory"),
                new JournalLimits(256 << 20, 1 << 30, 3_600_000));
        ReplicaStore store = new ReplicaStore(config, "vm", ReplicaMarker.BootId.current(), System::currentTimeMillis);
        ReplicaStore.Content content = store.create(primary.hello(-1, -1), "sha256:0");
        List<Long> compared = new ArrayList<>();
        try (EpochApplier applier = new EpochApplier(content, new CountingScrub(compared))) {
            EpochReceiver receiver = new EpochReceiver(
                    content,
                    applier,
                    new SimulatedPeer.InlineApplier(applier, cause -> {
                        throw new AssertionError(cause);
                    }),
                    (epoch, applied) -> {},
                    AckLevel.MEMORY,
                    8);
            primary.send(
                    EpochKind.SYNC,
                    message -> receiver.onStream(message.buffer().getShort(2), message.buffer(), 0, message.length()));
            List<Message> messages = new ArrayList<>();
            for (int i = 0; i < WARM_UP + MEASURED; i++) {
                primary.run(80);
                primary.send(EpochKind.DELTA, message -> {
                    byte[] copy = new byte[message.length()];
                    message.buffer().getBytes(0, copy);
                    messages.add(new Message(message.buffer().getShort(2), new UnsafeBuffer(copy), copy.length));
                });
            }
            ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
            int half = messages.size() / 2;
            feed(receiver, messages, 0, half);
            long before = threads.getCurrentThreadAllocatedBytes();
            feed(receiver, messages, half, messages.size());
            long perEpoch = (threads.getCurrentThreadAllocatedBytes() - before) / MEASURED;
            System.out.println("allocated per epoch: " + perEpoch + " bytes");
            assertThat(perEpoch).isLessThan(EPOCH_BYTES_MAX);
            assertThat(applier.applied()).isEqualTo(primary.epoch);
        } finally {
            store.close();
        }
    }

    private static void feed(EpochReceiver receiver, List<Message> messages, int from, int to) throws Exception {
        for (int i = from; i < to; i++) {
            Message message = messages.get(i);
            receiver.onStream(message.template, message.buffer, 0, message.length);
        }
    }

    private record CountingScrub(List<Long> mismatches) implements ScrubListener {
        @Override
        public void scrubbed(long pages) {}

        @Override
        public void scrubMismatch(long epoch, List<io.lockstep.replication.link.ControlMessage.Page> differing) {
            throw new AssertionError("epoch " + epoch + ": " + differing);
        }

        @Override
        public void verified(
                long epoch,
                long compared,
                long differing,
                List<io.lockstep.replication.link.ControlMessage.Page> pages) {
            mismatches.add(differing);
        }
    }
}
