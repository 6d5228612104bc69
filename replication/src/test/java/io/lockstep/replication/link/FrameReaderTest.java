package io.lockstep.replication.link;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.lockstep.replication.link.LinkException.Kind;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.SplittableRandom;
import org.agrona.concurrent.UnsafeBuffer;
import org.junit.jupiter.api.Test;

class FrameReaderTest {
    private static final int FRAMES = 5;

    private final ByteBuffer bytes = ByteBuffer.allocateDirect(1 << 16).order(ByteOrder.LITTLE_ENDIAN);
    private final int[] starts = new int[FRAMES + 1];

    /** Five frames with batches of different sizes. Returns their end. */
    private int fill() {
        FrameWriter writer = new FrameWriter(bytes);
        int at = 0;
        for (int i = 0; i < FRAMES; i++) {
            starts[i] = at;
            UnsafeBuffer message = TestMessages.batch(i, 300 * i);
            at = writer.write(at, message, 0, message.capacity());
        }
        starts[FRAMES] = at;
        return at;
    }

    /** Reads as a receiver does; returns how many frames were handed out. */
    private int readAll(int limit) throws LinkException {
        FrameReader reader = new FrameReader(bytes);
        int at = 0;
        int frames = 0;
        int length = reader.next(at, limit);
        while (length != FrameReader.INCOMPLETE) {
            int message = at + FrameLayout.HEADER_BYTES;
            UnsafeBuffer expected = TestMessages.batch(frames, 300 * frames);
            assertThat(new UnsafeBuffer(reader.buffer(), message, length)).isEqualTo(expected);
            frames++;
            at = message + length;
            length = reader.next(at, limit);
        }
        reader.end(at, limit);
        return frames;
    }

    private void assertRefused(int limit, String code, String message) {
        assertThatThrownBy(() -> readAll(limit)).isInstanceOfSatisfying(LinkException.class, e -> {
            assertThat(e.kind()).isEqualTo(Kind.CORRUPT);
            assertThat(e.code()).isEqualTo(code);
            assertThat(e).hasMessage(message);
        });
    }

    @Test
    void shouldReadWhatWasWritten() throws Exception {
        assertThat(readAll(fill())).isEqualTo(FRAMES);
    }

    @Test
    void shouldBeginWithTheMagicWhenLookedAtByAPerson() {
        fill();
        byte[] magic = new byte[4];
        bytes.get(0, magic);
        assertThat(magic).asString().isEqualTo("LSF1");
    }

    @Test
    void shouldRefuseWhenTheMagicIsWrong() {
        int limit = fill();
        bytes.putInt(0, 0x31324c53);
        assertRefused(limit, "frame-magic", "magic 0x31324c53 of frame 0 != 0x3146534c");
    }

    @Test
    void shouldRefuseBeforeTheBodyComesWhenTheLengthIsTooLarge() {
        fill();
        bytes.putInt(FrameLayout.LENGTH_OFFSET, FrameLayout.MESSAGE_BYTES_MAX + 1);
        assertRefused(FrameLayout.HEADER_BYTES, "frame-oversized", "message length 1048577 of frame 0 > 1048576");
        bytes.putInt(FrameLayout.LENGTH_OFFSET, -1);
        assertRefused(FrameLayout.HEADER_BYTES, "frame-oversized", "message length 4294967295 of frame 0 > 1048576");
    }

    @Test
    void shouldRefuseWhenTheLengthIsTooSmall() {
        int limit = fill();
        bytes.putInt(FrameLayout.LENGTH_OFFSET, 7);
        assertRefused(limit, "frame-undersized", "message length 7 of frame 0 < 8");
    }

    @Test
    void shouldRefuseWhenAFrameIsLost() {
        int limit = fill();
        int cut = starts[2] - starts[1];
        bytes.put(starts[1], bytes.duplicate(), starts[2], limit - starts[2]);
        assertRefused(limit - cut, "frame-sequence", "frame sequence 2 != 1: frames are lost");
    }

    @Test
    void shouldRefuseWhenAFrameComesTwice() {
        fill();
        byte[] first = new byte[starts[1]];
        bytes.get(0, first);
        bytes.put(starts[1], first);
        assertRefused(2 * starts[1], "frame-sequence", "frame sequence 0 != 1: duplicated or reordered");
    }

    @Test
    void shouldRefuseWhenTwoFramesAreReordered() {
        int limit = fill();
        byte[] second = new byte[starts[2] - starts[1]];
        byte[] third = new byte[starts[3] - starts[2]];
        bytes.get(starts[1], second);
        bytes.get(starts[2], third);
        bytes.put(starts[1], third);
        bytes.put(starts[1] + third.length, second);
        assertRefused(limit, "frame-sequence", "frame sequence 2 != 1: frames are lost");
    }

    @Test
    void shouldRefuseWhenTheStreamEndsWithinAFrame() {
        fill();
        assertRefused(starts[4] + 10, "frame-truncated", "the stream ended 10 bytes into frame 4");
    }

    @Test
    void shouldRefuseWhenTheSchemaIsOfAnotherVersion() {
        fill();
        UnsafeBuffer message = TestMessages.batch(0, 10);
        message.putShort(6, (short) 3);
        new FrameWriter(bytes).write(0, message, 0, message.capacity());
        assertVersionRefused("schema-too-new", "message schema version 3 > 2. Upgrade lockstep on this host.");
        message.putShort(6, (short) 0);
        new FrameWriter(bytes).write(0, message, 0, message.capacity());
        assertVersionRefused("schema-too-old", "message schema version 0 < 1. Upgrade lockstep on the peer.");
    }

    private void assertVersionRefused(String code, String text) {
        assertThatThrownBy(() -> readAll(starts[1] + 10)).isInstanceOfSatisfying(LinkException.class, e -> {
            assertThat(e.kind()).isEqualTo(Kind.VERSION);
            assertThat(e.code()).isEqualTo(code);
            assertThat(e).hasMessage(text);
        });
    }

    @Test
    void shouldRefuseWhenTheSchemaIsUnknown() {
        UnsafeBuffer message = TestMessages.batch(0, 10);
        message.putShort(4, (short) 7501);
        int end = new FrameWriter(bytes).write(0, message, 0, message.capacity());
        assertRefused(end, "schema-unknown", "message schema 7501 != 7500");
    }

    @Test
    void shouldRefuseEveryChangedByteWhenTenThousandAreTried() {
        SplittableRandom random = new SplittableRandom(20_240_601);
        for (int i = 0; i < 10_000; i++) {
            int limit = fill();
            int at = random.nextInt(limit);
            int mask = 1 + random.nextInt(255);
            bytes.put(at, (byte) (bytes.get(at) ^ mask));
            assertThatThrownBy(() -> readAll(limit))
                    .as("byte %d xor %d", at, mask)
                    .isInstanceOfSatisfying(
                            LinkException.class, e -> assertThat(e.kind()).isEqualTo(Kind.CORRUPT));
        }
    }

    @Test
    void shouldRefuseOrWaitWhenFedTenThousandRandomStreams() {
        SplittableRandom random = new SplittableRandom(77);
        byte[] garbage = new byte[600];
        for (int i = 0; i < 10_000; i++) {
            random.nextBytes(garbage);
            bytes.put(0, garbage);
            if (i % 2 == 0) {
                bytes.putInt(0, FrameLayout.MAGIC);
            }
            int limit = 1 + random.nextInt(garbage.length);
            assertThatThrownBy(() -> readAll(limit))
                    .isInstanceOfSatisfying(
                            LinkException.class, e -> assertThat(e.kind()).isEqualTo(Kind.CORRUPT));
        }
    }

    @Test
    void shouldRefuseWhenTheStreamIsCutAnywhere() throws Exception {
        int whole = fill();
        for (int limit = 0; limit <= whole; limit++) {
            int end = limit;
            boolean atBoundary = java.util.Arrays.stream(starts).anyMatch(start -> start == end);
            if (atBoundary) {
                readAll(end);
            } else {
                assertThatThrownBy(() -> readAll(end))
                        .isInstanceOfSatisfying(
                                LinkException.class, e -> assertThat(e.code()).isEqualTo("frame-truncated"));
            }
        }
    }

    @Test
    void shouldAllocateNothingWhenFramesAreWrittenAndRead() throws Exception {
        com.sun.management.ThreadMXBean threads = (com.sun.management.ThreadMXBean) ManagementFactory.getThreadMXBean();
        UnsafeBuffer message = TestMessages.batch(1, 4096);
        FrameWriter writer = new FrameWriter(bytes);
        FrameReader reader = new FrameReader(bytes);
        long thread = Thread.currentThread().getId();
        long before = 0;
        for (int i = 0; i < 60_000; i++) {
            if (i == 50_000) {
                before = threads.getThreadAllocatedBytes(thread);
            }
            reader.next(0, writer.write(0, message, 0, message.capacity()));
        }
        long allocated = threads.getThreadAllocatedBytes(thread) - before;
        // The measurement itself allocates some hundred bytes, once.
        assertThat(allocated).isLessThan(10_000);
    }
}
