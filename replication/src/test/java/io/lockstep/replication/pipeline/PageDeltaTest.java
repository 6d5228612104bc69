package io.lockstep.replication.pipeline;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.ByteBuffer;
import java.util.Random;
import org.agrona.BufferUtil;
import org.agrona.concurrent.UnsafeBuffer;
import org.junit.jupiter.api.Test;

class PageDeltaTest {
    private static final int PAGE = PageModel.PAGE_BYTES;
    private static final int GUARD = 64;

    private final ByteBuffer memory = BufferUtil.allocateDirectAligned(3 * (PAGE + 2 * GUARD), 64);
    private final UnsafeBuffer base = new UnsafeBuffer(memory, GUARD, PAGE);
    private final UnsafeBuffer page = new UnsafeBuffer(memory, PAGE + 3 * GUARD, PAGE);
    private final UnsafeBuffer out = new UnsafeBuffer(memory, 2 * PAGE + 5 * GUARD, PAGE);

    private int encode(int lengthMax) {
        return encode(lengthMax, 0);
    }

    private int encode(int lengthMax, int patchMax) {
        return PageDelta.encode(base.addressOffset(), page.addressOffset(), out.addressOffset(), lengthMax, patchMax);
    }

    private byte[] bytes(int length) {
        byte[] bytes = new byte[length];
        out.getBytes(0, bytes);
        return bytes;
    }

    @Test
    void shouldWriteNothingWhenPagesAreTheSame() {
        assertThat(encode(100)).isZero();
    }

    @Test
    void shouldWriteGapLengthAndNewBytesWhenRunsDiffer() {
        page.putByte(0, (byte) 7);
        page.putByte(300, (byte) 8);
        page.putByte(301, (byte) 9);
        page.putByte(PAGE - 1, (byte) 10);
        assertThat(encode(100)).isEqualTo(3 + 5 + 4);
        // 299 = 0x12b: 0xab 0x02; 3793 = 0xed1: 0xd1 0x1d.
        assertThat(bytes(12)).containsExactly(0, 1, 7, 0xab, 2, 2, 8, 9, 0xd1, 0x1d, 1, 10);
    }

    @Test
    void shouldGiveUpWhenTheDeltaExceedsItsBound() {
        page.setMemory(0, 200, (byte) 1);
        assertThat(encode(203)).isEqualTo(-1);
        assertThat(encode(204)).isEqualTo(203);
    }

    @Test
    void shouldMakeTheBaseTheSameUpToItsBoundAndTouchNothingWithoutOne() {
        Random random = new Random(4);
        UnsafeBuffer kept = new UnsafeBuffer(new byte[PAGE]);
        for (int i = 0; i < 5_000; i++) {
            int changes = random.nextInt(60);
            for (int change = 0; change < changes; change++) {
                int at = random.nextInt(PAGE);
                page.setMemory(at, Math.min(PAGE - at, 1 + random.nextInt(20)), (byte) random.nextInt());
            }
            kept.putBytes(0, base, 0, PAGE);
            int bytes = encode(PAGE - PageDelta.SLACK_BYTES);
            assertThat(base.compareTo(kept)).as("without a bound").isZero();
            int patchMax = random.nextInt(2 * Math.max(bytes, 1) + 1);
            assertThat(encode(PAGE - PageDelta.SLACK_BYTES, patchMax)).isEqualTo(bytes);
            assertThat(bytes == 0 || bytes > patchMax || base.compareTo(page) == 0)
                    .as("%d bytes, at most %d", bytes, patchMax)
                    .isTrue();
            assertThat(PageDelta.patch(out.addressOffset(), Math.max(bytes, 0), base.addressOffset()))
                    .isNull();
            assertThat(bytes < 0 || base.compareTo(page) == 0)
                    .as("%d bytes over what was patched", bytes)
                    .isTrue();
            base.putBytes(0, page, 0, PAGE);
        }
    }

    @Test
    void shouldStayWithinBoundsWhenPatchesAreRandomBytes() {
        Random random = new Random(9);
        int accepted = 0;
        for (int i = 0; i < 50_000; i++) {
            byte[] guard = new byte[GUARD];
            java.util.Arrays.fill(guard, (byte) 0x5a);
            memory.put(0, guard).put(GUARD + PAGE, guard);
            int length = 1 + random.nextInt(40);
            for (int at = 0; at < length; at++) {
                out.putByte(at, (byte) (random.nextInt(3) == 0 ? random.nextInt() : random.nextInt(12)));
            }
            String wrong = PageDelta.patch(out.addressOffset(), length, base.addressOffset());
            assertThat(PageDelta.check(out.addressOffset(), length)).isEqualTo(wrong);
            accepted += wrong == null ? 1 : 0;
            byte[] before = new byte[GUARD];
            byte[] after = new byte[GUARD];
            memory.get(0, before).get(GUARD + PAGE, after);
            assertThat(before).isEqualTo(guard);
            assertThat(after).isEqualTo(guard);
        }
        assertThat(accepted).isPositive();
    }
}
