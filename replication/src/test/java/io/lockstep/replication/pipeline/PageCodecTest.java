package io.lockstep.replication.pipeline;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;

class PageCodecTest {
    private static final int PAGES = 96;

    @Test
    void shouldRebuildEveryVersionWhenRandomPagesAreSent() throws Exception {
        for (long seed = 1; seed <= 10; seed++) {
            Random random = new Random(seed);
            // From no cache, over one that evicts all the time, to one that holds everything.
            CodecStream stream = new CodecStream(random.nextInt(5) * 32L * PageModel.PAGE_BYTES);
            PageModel guest = new PageModel(PAGES, PAGES);
            PageModel replica = guest.copy();
            for (int step = 0; step < 2_000; step++) {
                int block = random.nextInt(2);
                int page = random.nextInt(PAGES);
                guest.mutate(random, block, page);
                int from = stream.records.size();
                stream.send(guest, block, page, random.nextInt(8) == 0 ? random.nextInt(2) * 4 : 0);
                stream.applyTo(replica, from, stream.records.size());
                assertThat(replica.blocks[block][page])
                        .as("seed %d step %d", seed, step)
                        .isEqualTo(guest.blocks[block][page]);
            }
            for (byte[] record : stream.records) {
                assertThat(record.length).isLessThanOrEqualTo(PageRecord.BYTES_MAX);
            }
        }
    }

    @Test
    void shouldEndTheSameWhenAHalfAppliedEpochIsAppliedAgain() throws Exception {
        for (long seed = 1; seed <= 100; seed++) {
            Random random = new Random(seed);
            CodecStream stream = new CodecStream(64L * PageModel.PAGE_BYTES);
            PageModel guest = new PageModel(8);
            versions(random, stream, guest, 50);
            PageModel replica = new PageModel(8);
            stream.applyTo(replica, 0, stream.records.size());
            int begin = stream.records.size();
            versions(random, stream, guest, 80);
            int end = stream.records.size();
            int died = begin + random.nextInt(end - begin + 1);
            stream.applyTo(replica, begin, died);
            int again = begin + random.nextInt(died - begin + 1);
            stream.applyTo(replica, random.nextBoolean() ? begin : again, end);
            assertThat(replica.blocks).as("seed %d", seed).isDeepEqualTo(guest.blocks);
        }
    }

    private static void versions(Random random, CodecStream stream, PageModel guest, int count) {
        for (int i = 0; i < count; i++) {
            int page = random.nextInt(guest.blocks[0].length);
            guest.mutate(random, 0, page);
            stream.send(guest, 0, page, 0);
        }
    }

    @Test
    void shouldChooseZeroWhenThePageIsZero() {
        CodecStream stream = new CodecStream(1 << 20);
        PageModel guest = new PageModel(1);
        assertThat(stream.send(guest, 0, 0, 0)).isEqualTo(Encoding.ZERO);
        guest.blocks[0][0][PageModel.PAGE_BYTES - 1] = 1;
        assertThat(stream.send(guest, 0, 0, 0)).isNotEqualTo(Encoding.ZERO);
    }

    @Test
    void shouldTakeThePageForZeroWhenTheCaptureKnowsSo() {
        CodecStream stream = new CodecStream(1 << 20);
        PageModel guest = new PageModel(1);
        Arrays.fill(guest.blocks[0][0], (byte) 9);
        assertThat(stream.send(guest, 0, 0, PageCodec.FLAG_ZERO)).isEqualTo(Encoding.ZERO);
    }

    @Test
    void shouldSendNothingWhenThePageIsAsLastSent() {
        CodecStream stream = new CodecStream(1 << 20);
        PageModel guest = new PageModel(1);
        guest.mutate(new Random(1), 0, 0);
        guest.blocks[0][0][5] = 5;
        stream.send(guest, 0, 0, 0);
        assertThat(stream.send(guest, 0, 0, 0)).isEqualTo(Encoding.UNCHANGED);
        Arrays.fill(guest.blocks[0][0], (byte) 0);
        assertThat(stream.send(guest, 0, 0, 0)).isEqualTo(Encoding.ZERO);
        assertThat(stream.send(guest, 0, 0, 0)).isEqualTo(Encoding.UNCHANGED);
    }

    @Test
    void shouldSendTheWholePageWhenThePeersCopyIsKnownToDiffer() {
        CodecStream stream = new CodecStream(1 << 20);
        PageModel guest = new PageModel(1);
        Arrays.fill(guest.blocks[0][0], (byte) 3);
        stream.send(guest, 0, 0, 0);
        assertThat(stream.send(guest, 0, 0, PageCodec.FLAG_WHOLE)).isEqualTo(Encoding.RAW);
        assertThat(stream.send(guest, 0, 0, 0)).isEqualTo(Encoding.UNCHANGED);
        Arrays.fill(guest.blocks[0][0], (byte) 0);
        stream.send(guest, 0, 0, 0);
        assertThat(stream.send(guest, 0, 0, PageCodec.FLAG_WHOLE)).isEqualTo(Encoding.ZERO);
    }

    @Test
    void shouldChooseDeltaWhenFewBytesChanged() {
        CodecStream stream = new CodecStream(1 << 20);
        PageModel guest = new PageModel(1);
        new Random(5).nextBytes(guest.blocks[0][0]);
        stream.send(guest, 0, 0, 0);
        guest.blocks[0][0][1000]++;
        assertThat(stream.send(guest, 0, 0, 0)).isEqualTo(Encoding.DELTA);
        assertThat(stream.records.get(1)).hasSize(PageRecord.HEADER_BYTES + 4).endsWith(guest.blocks[0][0][1000]);
    }

    @Test
    void shouldStopTryingLz4WhenPagesDoNotCompress() {
        CodecStream stream = new CodecStream(0);
        PageModel guest = new PageModel(512);
        Random random = new Random(5);
        for (byte[] page : guest.blocks[0]) {
            random.nextBytes(page);
        }
        for (int page = 0; page < 512; page++) {
            assertThat(stream.send(guest, 0, page, 0)).isEqualTo(Encoding.RAW);
        }
        CodecWorth worth = new CodecWorth();
        int tried = 0;
        for (int i = 0; i < 1_000; i++) {
            if (worth.tryLz4(7, PageModel.PAGE_BYTES)) {
                worth.result(7, 0, 3_000);
                tried++;
            }
        }
        assertThat(tried).isBetween(1_000 / 32, 1_000 / 32 + 8);
    }

    @Test
    void shouldTryLz4AgainWhenARegionBeginsToCompress() {
        CodecWorth worth = new CodecWorth();
        worth.price(LinkPrice.SCALE);
        for (int i = 0; i < 100; i++) {
            worth.result(7, 0, 3_000);
        }
        assertThat(worth.tryLz4(7, PageModel.PAGE_BYTES)).isFalse();
        for (int i = 0; i < 16; i++) {
            worth.result(7, 3_900, 1_000);
        }
        assertThat(worth.tryLz4(7, PageModel.PAGE_BYTES)).isTrue();
    }

    @Test
    void shouldAskMoreOfLz4WhenTheLinkIsCheap() {
        CodecWorth worth = new CodecWorth();
        for (int i = 0; i < 100; i++) {
            worth.result(7, 2_000, 3_000);
        }
        // 3 µs for 2,000 bytes: worth it at 2 ns a byte, not at 1.
        worth.price(2 * LinkPrice.SCALE);
        assertThat(worth.tryLz4(7, PageModel.PAGE_BYTES)).isTrue();
        worth.price(LinkPrice.SCALE);
        assertThat(worth.tryLz4(7, PageModel.PAGE_BYTES)).isFalse();
    }
}
