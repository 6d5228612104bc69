package io.lockstep.replication.link;

import io.lockstep.replication.link.LinkException.Kind;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.zip.CRC32C;
import org.agrona.DirectBuffer;
import org.agrona.concurrent.UnsafeBuffer;

/**
 * Finds frames in received bytes. No message is handed out before its magic, length, checksum, sequence and the shape of its content are proven;
 * a length is judged before anybody waits, or makes room, for that many bytes. For one thread; allocates nothing but errors.
 *
 * <p>Errors, all of kind {@link Kind#CORRUPT}: {@code frame-magic}, {@code frame-oversized}, {@code frame-undersized}, {@code frame-checksum},
 * {@code frame-sequence}, {@code frame-reserved}, {@code frame-truncated}, and those of {@link MessageShape}.
 */
public final class FrameReader {
    /** More bytes must come before the next frame is whole. */
    public static final int INCOMPLETE = -1;

    private static final int ZERO_BYTES = 4;

    private final UnsafeBuffer source;
    private final ByteBuffer checksumView;
    private final ByteBuffer zeros = ByteBuffer.allocateDirect(ZERO_BYTES);
    private final CRC32C crc = new CRC32C();
    private long nextSequence;

    /** @param source where the bytes are; its position and limit are not used */
    public FrameReader(ByteBuffer source) {
        this.source = new UnsafeBuffer(source);
        checksumView = source.duplicate().clear();
    }

    /** The bytes, for reading a message that {@link #next} has found. */
    public DirectBuffer buffer() {
        return source;
    }

    /**
     * Looks at the frame that begins at position.
     *
     * @param limit end of the bytes received so far
     * @return length of its message, which begins {@link FrameLayout#HEADER_BYTES} behind position; or {@link #INCOMPLETE}
     */
    public int next(int position, int limit) throws LinkException {
        int available = limit - position;
        if (available < FrameLayout.HEADER_BYTES) {
            return INCOMPLETE;
        }
        int length = checkedLength(position);
        if (available < FrameLayout.HEADER_BYTES + length) {
            return INCOMPLETE;
        }
        checkChecksum(position, length);
        long sequence = source.getLong(position + FrameLayout.SEQUENCE_OFFSET, ByteOrder.LITTLE_ENDIAN);
        if (sequence != nextSequence) {
            String what =
                    Long.compareUnsigned(sequence, nextSequence) < 0 ? "duplicated or reordered" : "frames are lost";
            throw corrupt(
                    "frame-sequence",
                    "frame sequence " + Long.toUnsignedString(sequence) + " != " + nextSequence + ": " + what);
        }
        int reserved = source.getInt(position + FrameLayout.RESERVED_OFFSET, ByteOrder.LITTLE_ENDIAN);
        if (reserved != 0) {
            throw corrupt("frame-reserved", "reserved field of frame " + sequence + " is " + reserved + " != 0");
        }
        MessageShape.check(source, position + FrameLayout.HEADER_BYTES, length);
        nextSequence++;
        return length;
    }

    /** Says that no more bytes come. Fails if they end within a frame. */
    public void end(int position, int limit) throws LinkException {
        if (position < limit) {
            throw corrupt(
                    "frame-truncated", "the stream ended " + (limit - position) + " bytes into frame " + nextSequence);
        }
    }

    /** Sequence that the next frame must have. */
    public long nextSequence() {
        return nextSequence;
    }

    private int checkedLength(int position) throws LinkException {
        int magic = source.getInt(position + FrameLayout.MAGIC_OFFSET, ByteOrder.LITTLE_ENDIAN);
        if (magic != FrameLayout.MAGIC) {
            throw corrupt(
                    "frame-magic",
                    String.format("magic 0x%08x of frame %d != 0x%08x", magic, nextSequence, FrameLayout.MAGIC));
        }
        int length = source.getInt(position + FrameLayout.LENGTH_OFFSET, ByteOrder.LITTLE_ENDIAN);
        if (Integer.compareUnsigned(length, FrameLayout.MESSAGE_BYTES_MAX) > 0) {
            throw corrupt(
                    "frame-oversized",
                    "message length " + Integer.toUnsignedString(length) + " of frame " + nextSequence + " > "
                            + FrameLayout.MESSAGE_BYTES_MAX);
        }
        if (length < FrameLayout.MESSAGE_BYTES_MIN) {
            throw corrupt(
                    "frame-undersized",
                    "message length " + length + " of frame " + nextSequence + " < " + FrameLayout.MESSAGE_BYTES_MIN);
        }
        return length;
    }

    private void checkChecksum(int position, int length) throws LinkException {
        int end = position + FrameLayout.HEADER_BYTES + length;
        crc.reset();
        crc.update(checksumView.limit(position + FrameLayout.CHECKSUM_OFFSET).position(position));
        crc.update(zeros.clear());
        crc.update(checksumView.limit(end).position(position + FrameLayout.RESERVED_OFFSET));
        int expected = (int) crc.getValue();
        int actual = source.getInt(position + FrameLayout.CHECKSUM_OFFSET, ByteOrder.LITTLE_ENDIAN);
        if (actual != expected) {
            throw corrupt(
                    "frame-checksum",
                    String.format("CRC32C 0x%08x of frame %d != computed 0x%08x", actual, nextSequence, expected));
        }
    }

    private static LinkException corrupt(String code, String message) {
        return new LinkException(Kind.CORRUPT, code, message);
    }
}
