package io.lockstep.telemetry.trace;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class RingPageTest {
    private static final class Seen implements RingPage.Handler {
        final List<String> all = new ArrayList<>();

        @Override
        public void record(long timestampNs, int offset, int length) {
            all.add(timestampNs + " @" + offset + "+" + length);
        }

        @Override
        public void lost(long count) {
            all.add("lost " + count);
        }
    }

    private static ByteBuffer page(long timestamp, long flags, int... words) {
        ByteBuffer page = ByteBuffer.allocate(4096).order(ByteOrder.LITTLE_ENDIAN);
        page.putLong(0, timestamp).putLong(8, words.length * 4L | flags);
        for (int i = 0; i < words.length; i++) {
            page.putInt(16 + i * 4, words[i]);
        }
        return page;
    }

    private static List<String> read(ByteBuffer page) {
        Seen seen = new Seen();
        int records = RingPage.read(page, 4096, seen);
        assertThat(records)
                .isEqualTo(seen.all.stream().filter(s -> s.contains("@")).count());
        return seen.all;
    }

    private static int header(int type, int delta) {
        return delta << 5 | type;
    }

    @Test
    void shouldReadRecordsOfEveryEncoding() {
        ByteBuffer page = page(
                1000,
                0,
                header(2, 5),
                11,
                12,
                header(30, 7),
                1,
                header(0, 1),
                12,
                21,
                22,
                header(29, 3),
                4,
                header(31, 9),
                2,
                header(1, 0),
                31);
        long extended = 1005 + 7 + (1L << 27);
        long absolute = (2L << 27) + 9;
        assertThat(read(page)).containsExactly("1005 @20+8", (extended + 1) + " @44+8", absolute + " @72+4");
    }

    @Test
    void shouldSayWhatTheKernelLost() {
        ByteBuffer page = page(0, 1L << 31 | 1L << 30, header(1, 1), 5).putLong(24, 42);
        assertThat(read(page)).containsExactly("lost 42", "1 @20+4");
        assertThat(read(page(0, 1L << 31))).containsExactly("lost 0");
    }

    @Test
    void shouldStopAtTheEndAndAtContradictions() {
        assertThat(read(page(0, 0, header(29, 0), 0, header(1, 1), 5))).isEmpty();
        assertThat(read(page(0, 0, header(28, 1), 5))).isEmpty();
        assertThat(read(page(0, 0, header(0, 1), -5, 0))).isEmpty();
        assertThat(RingPage.read(page(0, 0), 15, new Seen())).isZero();
    }

    @Test
    void shouldNeverReadOutsideOfAPageWhateverIsInIt() {
        SplittableRandom random = new SplittableRandom(7);
        for (int round = 0; round < 20_000; round++) {
            byte[] bytes = new byte[4096];
            random.nextBytes(bytes);
            ByteBuffer page = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
            int valid = random.nextInt(4097);
            RingPage.read(page, valid, new RingPage.Handler() {
                @Override
                public void record(long timestampNs, int offset, int length) {
                    assertThat(offset).isGreaterThanOrEqualTo(RingPage.DATA);
                    assertThat(length).isNotNegative();
                    assertThat(offset + length).isLessThanOrEqualTo(valid);
                }

                @Override
                public void lost(long count) {
                    assertThat(count).isNotNegative();
                }
            });
        }
    }
}
