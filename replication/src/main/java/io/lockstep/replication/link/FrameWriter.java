package io.lockstep.replication.link;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.zip.CRC32C;
import org.agrona.DirectBuffer;
import org.agrona.concurrent.UnsafeBuffer;

/** Puts messages into frames, one behind another, in a buffer of the caller's. For one thread at a time; allocates nothing. */
public final class FrameWriter {
    private final ByteBuffer target;
    private final ByteBuffer checksumView;
    private final UnsafeBuffer header;
    private final CRC32C crc = new CRC32C();
    private long nextSequence;

    /** @param target where the frames go; its position and limit are not used */
    public FrameWriter(ByteBuffer target) {
        this.target = target;
        checksumView = target.duplicate().clear();
        header = new UnsafeBuffer(target);
    }

    /**
     * Writes one frame.
     *
     * @param position where it begins in the target; {@link FrameLayout#HEADER_BYTES} + length bytes must be free there
     * @return where it ends
     */
    public int write(int position, DirectBuffer message, int offset, int length) {
        if (length < FrameLayout.MESSAGE_BYTES_MIN || length > FrameLayout.MESSAGE_BYTES_MAX) {
            throw new IllegalArgumentException("message length " + length + " not in " + FrameLayout.MESSAGE_BYTES_MIN
                    + ".." + FrameLayout.MESSAGE_BYTES_MAX);
        }
        int end = position + FrameLayout.HEADER_BYTES + length;
        if (end > target.capacity()) {
            throw new IllegalArgumentException("frame end " + end + " > buffer capacity " + target.capacity());
        }
        header.putInt(position + FrameLayout.MAGIC_OFFSET, FrameLayout.MAGIC, ByteOrder.LITTLE_ENDIAN);
        header.putInt(position + FrameLayout.LENGTH_OFFSET, length, ByteOrder.LITTLE_ENDIAN);
        header.putLong(position + FrameLayout.SEQUENCE_OFFSET, nextSequence, ByteOrder.LITTLE_ENDIAN);
        header.putInt(position + FrameLayout.CHECKSUM_OFFSET, 0);
        header.putInt(position + FrameLayout.RESERVED_OFFSET, 0);
        header.putBytes(position + FrameLayout.HEADER_BYTES, message, offset, length);
        crc.reset();
        crc.update(checksumView.limit(end).position(position));
        header.putInt(position + FrameLayout.CHECKSUM_OFFSET, (int) crc.getValue(), ByteOrder.LITTLE_ENDIAN);
        nextSequence++;
        return end;
    }

    /** Sequence of the next frame. */
    public long nextSequence() {
        return nextSequence;
    }
}
