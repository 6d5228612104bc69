package io.lockstep.replication.pipeline;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.lockstep.replication.DutyCycle;
import io.lockstep.replication.link.LinkException;
import io.lockstep.replication.link.MemoryChannel;
import io.lockstep.replication.wire.EpochKind;
import io.lockstep.replication.wire.GoodbyeEncoder;
import io.lockstep.replication.wire.MessageHeaderEncoder;
import io.lockstep.replication.wire.RunState;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.agrona.concurrent.SystemNanoClock;
import org.agrona.concurrent.UnsafeBuffer;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class PagePipelineTest {
    private static final PipelineConfig SMALL = new PipelineConfig(256, 2, 1 << 20, 16 << 10, 64 << 10, 16, 5_000);

    /** Index of the disk, behind the blocks of memory. */
    private static final int DISK = 2;

    private final MemoryChannel.Pair link = MemoryChannel.pair(256, 5_000);
    private final List<String> sent = Collections.synchronizedList(new ArrayList<>());
    private final Map<Integer, Boolean> compared = new ConcurrentHashMap<>();
    private final PagePipeline pipeline = new PagePipeline(
            SMALL,
            PagePipelineTest::daemon,
            counts -> sent.add(counts.kind() + " " + counts.epoch() + " pages " + counts.pageCount() + " unchanged "
                    + counts.pages(Encoding.UNCHANGED)),
            (block, page, changed) -> compared.put(page, changed),
            SystemNanoClock.INSTANCE);

    private static Thread daemon(Runnable task) {
        Thread thread = new Thread(task, "pipeline-test");
        thread.setDaemon(true);
        return thread;
    }

    @AfterEach
    void close() {
        pipeline.close();
    }

    @Test
    void shouldRebuildMemoryWhenRandomEpochsAreSent() throws Exception {
        long seed = 11;
        Random random = new Random(seed);
        PageModel guest = new PageModel(300, 20, 50);
        EpochReader peer = new EpochReader(new PageModel(300, 20, 50), DISK);
        pipeline.attach(link.left(), true, 1_000);
        for (int epoch = 0; epoch < 200; epoch++) {
            if (epoch == 100) {
                pipeline.awaitDrained(5_000);
                peer.readAll(link.right());
                MemoryChannel.Pair next = MemoryChannel.pair(256, 5_000);
                pipeline.attach(next.left(), true, 1_000);
                peer.expect(next.right());
            } else if (epoch == 0) {
                peer.expect(link.right());
            }
            epoch(random, guest, epoch);
            peer.awaitEpoch(epoch);
            assertThat(peer.model.blocks).as("seed %d epoch %d", seed, epoch).isDeepEqualTo(guest.blocks);
        }
        assertThat(pipeline.counters().epochs()).isEqualTo(200);
        for (Encoding encoding : Encoding.values()) {
            assertThat(pipeline.counters().pages(encoding)).as("%s", encoding).isPositive();
        }
        assertThat(pipeline.counters().cacheHits()).isPositive();
        Awaitility.await().until(() -> sent.size() == 200);
    }

    private void epoch(Random random, PageModel guest, int epoch) throws PipelineException {
        EpochKind kind = epoch % 50 == 0 ? EpochKind.SYNC : EpochKind.DELTA;
        pipeline.epochBegin(epoch, kind, epoch * 25L);
        int left = random.nextInt(120);
        while (left > 0) {
            int n = 1 + random.nextInt(Math.min(left, 30));
            long first = pipeline.claim(n);
            for (int i = 0; i < n; i++) {
                int block = random.nextInt(10) == 0 ? 1 : 0;
                int page = random.nextInt(guest.blocks[block].length);
                guest.mutate(random, block, page);
                if (random.nextInt(12) == 0) {
                    continue; // Not described: the page must come some other time.
                }
                fill(first + i, guest, block, page, random.nextInt(20) == 0 ? PageCodec.FLAG_WHOLE : 0);
            }
            pipeline.publish(first, first + n - 1);
            left -= n;
        }
        // Everything once more, so that whatever was left out above arrives.
        for (int block = 0; block < DISK; block++) {
            for (int page = 0; page < guest.blocks[block].length; page++) {
                long at = pipeline.claim(1);
                fill(at, guest, block, page, kind == EpochKind.SYNC ? PageCodec.FLAG_PASSING : 0);
                pipeline.publish(at, at);
            }
        }
        writeDisk(random, guest);
        long scrub = pipeline.claim(1);
        pipeline.slots().putBytes(pipeline.offset(scrub), guest.blocks[0][epoch]);
        pipeline.describeScrub(scrub, 0, epoch);
        // More than the configured number of an epoch, so that one that counts would fail the stream.
        long withdrawn = pipeline.claim(SMALL.scrubPagesMax());
        for (int i = 0; i < SMALL.scrubPagesMax(); i++) {
            pipeline.describeScrub(withdrawn + i, 0, epoch);
            pipeline.withdraw(withdrawn + i);
        }
        pipeline.publish(scrub, withdrawn + SMALL.scrubPagesMax() - 1);
        pipeline.deviceState().setMemory(0, 1000, (byte) epoch);
        pipeline.epochEnd(epoch, kind, RunState.RUNNING, epoch, 1_000, kind == EpochKind.SYNC ? 0 : 1000);
    }

    /** The guest writes to its disk what it has in memory, all but one byte of that, or something else. */
    private void writeDisk(Random random, PageModel guest) throws PipelineException {
        for (int writes = random.nextInt(40); writes > 0; writes--) {
            int page = random.nextInt(guest.blocks[DISK].length);
            byte[] content = guest.blocks[DISK][page];
            byte[] from = guest.blocks[0][random.nextInt(guest.blocks[0].length)];
            System.arraycopy(from, 0, content, 0, content.length);
            switch (random.nextInt(4)) {
                case 0 -> content[random.nextInt(content.length)]++;
                case 1 -> guest.mutate(random, DISK, page);
                default -> {}
            }
            long at = pipeline.claim(1);
            fill(at, guest, DISK, page, PageCodec.FLAG_PASSING | PageCodec.FLAG_MAY_REFER);
            pipeline.publish(at, at);
        }
    }

    @Test
    void shouldSendNoReferencesToAPeerThatDoesNotKnowThem() throws Exception {
        Random random = new Random(12);
        PageModel guest = new PageModel(300, 20, 50);
        EpochReader peer = new EpochReader(new PageModel(300, 20, 50), DISK);
        pipeline.attach(link.left(), false, 1_000);
        peer.expect(link.right());
        for (int epoch = 0; epoch < 20; epoch++) {
            epoch(random, guest, epoch);
            peer.awaitEpoch(epoch);
            assertThat(peer.model.blocks).as("epoch %d", epoch).isDeepEqualTo(guest.blocks);
        }
        assertThat(pipeline.counters().pages(Encoding.REFERENCE)).isZero();
        assertThat(pipeline.counters().referable()).isPositive();
    }

    @Test
    void shouldTellOfHotPagesWhetherTheyChanged() throws Exception {
        PageModel guest = new PageModel(300, 20);
        guest.blocks[0][5][0] = 1;
        guest.blocks[0][6][0] = 1;
        pipeline.attach(link.left(), true, 1_000);
        assertThat(hotEpoch(guest, 0)).as("never sent before").isEqualTo(Map.of(5, false, 6, false));
        guest.blocks[0][5][0] = 2;
        assertThat(hotEpoch(guest, 1)).isEqualTo(Map.of(5, true, 6, false));
        assertThat(hotEpoch(guest, 2)).isEqualTo(Map.of(5, false, 6, false));
    }

    /** Pages 5 and 6 as hot ones, page 7 as any other. */
    private Map<Integer, Boolean> hotEpoch(PageModel guest, int epoch) throws PipelineException {
        compared.clear();
        pipeline.epochBegin(epoch, EpochKind.DELTA, epoch);
        for (int page = 5; page <= 7; page++) {
            long at = pipeline.claim(1);
            fill(at, guest, 0, page, page == 7 ? 0 : PageCodec.FLAG_HOT);
            pipeline.publish(at, at);
        }
        pipeline.deviceState().setMemory(0, 1000, (byte) epoch);
        pipeline.epochEnd(epoch, EpochKind.DELTA, RunState.RUNNING, epoch, 1_000, 1000);
        pipeline.awaitDrained(5_000);
        return compared;
    }

    private void fill(long sequence, PageModel guest, int block, int page, int flags) {
        byte[] content = guest.blocks[block][page];
        pipeline.slots().putBytes(pipeline.offset(sequence), content);
        pipeline.describe(sequence, block, page, flags);
    }

    @Test
    void shouldCountStallsOfEachThreadAndNoneWhileItHasNothingToDo() throws Exception {
        AtomicLong nowNs = new AtomicLong();
        AtomicLong stepNs = new AtomicLong();
        try (PagePipeline watched = new PagePipeline(
                SMALL,
                PagePipelineTest::daemon,
                counts -> {},
                (block, page, changed) -> {},
                () -> nowNs.addAndGet(stepNs.get()))) {
            assertThat(watched.rounds()).containsOnlyKeys("encode-0", "encode-1", "send");
            watched.attach(link.left(), true, 1_000);
            long epochs = 0;
            for (; epochs < 2; epochs++) {
                nowNs.addAndGet(10 * DutyCycle.STALL_NS);
                watched.epochBegin(epochs, EpochKind.DELTA, 0);
                watched.epochEnd(epochs, EpochKind.DELTA, RunState.RUNNING, 0, 0, 0);
                watched.awaitDrained(5_000);
                Awaitility.await()
                        .until(() -> watched.rounds().values().stream().allMatch(PagePipelineTest::rests));
            }
            assertThat(watched.rounds().values()).allMatch(rounds -> rounds.stalls() == 0);

            stepNs.set(DutyCycle.STALL_NS + 1);
            watched.epochBegin(epochs, EpochKind.DELTA, 0);
            Awaitility.await().until(() -> watched.rounds().values().stream().allMatch(rounds -> rounds.stalls() > 0));
            stepNs.set(0);
        }
    }

    private static boolean rests(DutyCycle rounds) {
        return rounds.ageNs(Long.MAX_VALUE) == 0;
    }

    @Test
    void shouldReportCauseWhenChannelFails() throws Exception {
        AtomicInteger told = new AtomicInteger();
        pipeline.onFailure(told::incrementAndGet);
        pipeline.attach(link.left(), true, 1_000);
        link.left().failAfterSends(1);
        pipeline.epochBegin(1, EpochKind.DELTA, 0);
        pipeline.epochEnd(1, EpochKind.DELTA, RunState.RUNNING, 0, 0, 0);
        Awaitility.await().until(() -> pipeline.state() == PipelineState.FAILED);
        assertThatThrownBy(() -> pipeline.claim(1))
                .isInstanceOf(PipelineException.class)
                .hasMessage("the stream failed: the connection is closed")
                .hasCauseInstanceOf(LinkException.class);
        assertThat(pipeline.counters().failures()).isEqualTo(1);
        Awaitility.await().until(() -> told.get() == 1);
    }

    @Test
    void shouldEndWaitWhenAbortedWhileTheRingIsFull() throws Exception {
        MemoryChannel.Pair narrow = MemoryChannel.pair(1, 30_000);
        pipeline.attach(narrow.left(), true, 1_000);
        pipeline.epochBegin(1, EpochKind.DELTA, 0);
        pipeline.epochEnd(1, EpochKind.DELTA, RunState.RUNNING, 0, 0, 0);
        Thread aborter = daemon(() -> {
            Awaitility.await().until(() -> narrow.right().waiting() == 1 && pipeline.freeSlots() < 256);
            pipeline.abort(new IllegalStateException("receiver saw the end"));
        });
        aborter.start();
        assertThatThrownBy(() -> pipeline.awaitFree(256, 20_000))
                .isInstanceOf(PipelineException.class)
                .hasMessage("the stream failed: receiver saw the end");
        MemoryChannel.Pair next = MemoryChannel.pair(64, 1_000);
        pipeline.attach(next.left(), true, 5_000);
        pipeline.epochBegin(2, EpochKind.DELTA, 0);
        pipeline.epochEnd(2, EpochKind.DELTA, RunState.RUNNING, 0, 0, 0);
        EpochReader peer = new EpochReader(new PageModel(1));
        peer.expect(next.right());
        peer.awaitEpoch(2);
    }

    @Test
    void shouldTimeOutWhenTheLinkDoesNotDrain() throws Exception {
        MemoryChannel.Pair narrow = MemoryChannel.pair(1, 30_000);
        pipeline.attach(narrow.left(), true, 1_000);
        pipeline.epochBegin(1, EpochKind.DELTA, 0);
        pipeline.epochEnd(1, EpochKind.DELTA, RunState.RUNNING, 0, 0, 0);
        Awaitility.await().until(() -> narrow.right().waiting() == 1);
        assertThatThrownBy(() -> pipeline.awaitFree(256, 30))
                .isInstanceOf(PipelineException.class)
                .hasMessageMatching("free slots 25[45] of 256 wanted, free epoch ends 3 of 1 wanted, after 30 ms: "
                        + "the link does not keep up");
    }

    @Test
    void shouldFailWhenPagesComeWithoutAnEpoch() throws Exception {
        pipeline.attach(link.left(), true, 1_000);
        long at = pipeline.claim(1);
        pipeline.describe(at, 0, 0, 0);
        pipeline.publish(at, at);
        Awaitility.await().until(() -> pipeline.state() == PipelineState.FAILED);
        assertThat(pipeline.failure()).hasMessage("a page or an epoch's end without the epoch's beginning");
    }

    @Test
    void shouldPassOverOldSlotsWhenSessionChanges() throws Exception {
        pipeline.attach(link.left(), true, 1_000);
        pipeline.epochBegin(1, EpochKind.DELTA, 0);
        long claimed = pipeline.claim(3);
        pipeline.describe(claimed, 0, 0, PageCodec.FLAG_ZERO);
        MemoryChannel.Pair next = MemoryChannel.pair(64, 1_000);
        pipeline.attach(next.left(), true, 1_000);
        assertThat(link.left().isClosed()).isTrue();
        EpochReader peer = new EpochReader(new PageModel(8));
        peer.expect(next.right());
        pipeline.epochBegin(7, EpochKind.DELTA, 0);
        pipeline.epochEnd(7, EpochKind.DELTA, RunState.PAUSED, 0, 0, 0);
        peer.awaitEpoch(7);
        assertThat(peer.pageCount).isZero();
    }

    @Test
    void shouldClearCacheWhenAnEpochStartsAgain() throws Exception {
        pipeline.attach(link.left(), true, 1_000);
        PageModel guest = new PageModel(4);
        java.util.Arrays.fill(guest.blocks[0][2], (byte) 7);
        for (int attempt = 0; attempt < 2; attempt++) {
            pipeline.epochBegin(1, EpochKind.DELTA, 0);
            long at = pipeline.claim(1);
            fill(at, guest, 0, 2, 0);
            pipeline.publish(at, at);
        }
        pipeline.epochEnd(1, EpochKind.DELTA, RunState.RUNNING, 0, 0, 0);
        EpochReader peer = new EpochReader(new PageModel(4));
        peer.expect(link.right());
        peer.awaitEpoch(1);
        assertThat(peer.model.blocks).isDeepEqualTo(guest.blocks);
    }

    @Test
    void shouldSendMessagesInOrderBehindPages() throws Exception {
        pipeline.attach(link.left(), true, 1_000);
        UnsafeBuffer message = new UnsafeBuffer(ByteBuffer.allocate(256));
        GoodbyeEncoder goodbye = new GoodbyeEncoder();
        goodbye.wrapAndApplyHeader(message, 0, new MessageHeaderEncoder()).reason("stop");
        int length = MessageHeaderEncoder.ENCODED_LENGTH + goodbye.encodedLength();
        pipeline.epochBegin(1, EpochKind.DELTA, 0);
        pipeline.epochEnd(1, EpochKind.DELTA, RunState.RUNNING, 0, 0, 0);
        pipeline.message(message, 0, length);
        EpochReader peer = new EpochReader(new PageModel(1));
        peer.expect(link.right());
        Awaitility.await().until(() -> {
            peer.readAll(link.right());
            return peer.goodbye.equals("stop");
        });
        assertThat(peer.epoch).isEqualTo(1);
    }

    @Test
    void shouldSendTheLastWordsWhenTheVmDiesWhileItsPagesAreRead() throws Exception {
        pipeline.attach(link.left(), true, 1_000);
        UnsafeBuffer message = new UnsafeBuffer(ByteBuffer.allocate(256));
        GoodbyeEncoder goodbye = new GoodbyeEncoder();
        goodbye.wrapAndApplyHeader(message, 0, new MessageHeaderEncoder()).reason("dead");
        pipeline.epochBegin(1, EpochKind.DELTA, 0);
        pipeline.describe(pipeline.claim(3), 0, 0, 0);

        pipeline.abandonClaimed();
        pipeline.message(message, 0, MessageHeaderEncoder.ENCODED_LENGTH + goodbye.encodedLength());

        EpochReader peer = new EpochReader(new PageModel(1));
        peer.expect(link.right());
        Awaitility.await().until(() -> {
            peer.readAll(link.right());
            return peer.goodbye.equals("dead");
        });
        assertThat(peer.epoch).isNotEqualTo(1);
    }

    @Test
    void shouldSendHashesWhenVerifying() throws Exception {
        pipeline.attach(link.left(), true, 1_000);
        Random random = new Random(3);
        PageModel guest = new PageModel(100, 9);
        pipeline.epochBegin(1, EpochKind.DELTA, 0);
        for (int block = 0; block < 2; block++) {
            for (int page = 0; page < guest.blocks[block].length; page++) {
                random.nextBytes(guest.blocks[block][page]);
                long at = pipeline.claim(1);
                pipeline.slots().putBytes(pipeline.offset(at), guest.blocks[block][page]);
                pipeline.describeVerify(at, block, page, block == 1 && page == 8);
                pipeline.publish(at, at);
            }
        }
        pipeline.epochEnd(1, EpochKind.DELTA, RunState.RUNNING, 0, 0, 0);
        EpochReader peer = new EpochReader(guest);
        peer.expect(link.right());
        peer.awaitEpoch(1);
        assertThat(peer.hashesCompared).isEqualTo(109);
        assertThat(peer.hashesLast).isEqualTo(1);
    }

    @Test
    void shouldRefuseWhenSlotsArePublishedOutOfOrder() throws Exception {
        pipeline.attach(link.left(), true, 1_000);
        long first = pipeline.claim(4);
        assertThatThrownBy(() -> pipeline.publish(first + 1, first + 3))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("published 1..3 not a beginning of 0..3");
        assertThatThrownBy(() -> pipeline.describe(first + 4, 0, 0, 0))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("sequence 4 not claimed: 0..3 are");
    }

    @Test
    void shouldLayPageRecordsOutAsDocumented() {
        UnsafeBuffer buffer = new UnsafeBuffer(ByteBuffer.allocate(16));
        PageRecord.header(buffer, 0, 0x1234, 3, 0x89abcdef, 0x0fed);
        assertThat(buffer.getLong(0, ByteOrder.BIG_ENDIAN)).isEqualTo(0x34120300efcdab89L);
        assertThat(buffer.getShort(8, ByteOrder.BIG_ENDIAN)).isEqualTo((short) 0xed0f);
        assertThat(PageRecord.page(buffer, 0)).isEqualTo(0x89abcdefL);
        assertThat(PageRecord.block(buffer, 0)).isEqualTo(0x1234);
        assertThat(PageRecord.payloadBytes(buffer, 0)).isEqualTo(0x0fed);
    }
}
