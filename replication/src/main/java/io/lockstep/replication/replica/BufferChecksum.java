package io.lockstep.replication.replica;

import java.nio.ByteBuffer;
import java.util.zip.CRC32C;
import org.agrona.BufferUtil;
import org.agrona.DirectBuffer;
import org.agrona.concurrent.UnsafeBuffer;

/** CRC32C over parts of buffers of any kind, one after another. One thread; allocates nothing. */
final class BufferChecksum {
    private static final int CHUNK_BYTES = 16 << 10; // stays in the first-level cache

    private final CRC32C crc = new CRC32C();
    private final ByteBuffer chunk = BufferUtil.allocateDirectAligned(CHUNK_BYTES, 64);
    private final UnsafeBuffer chunkBuffer = new UnsafeBuffer(chunk);

    void reset() {
        crc.reset();
    }

    void update(DirectBuffer buffer, int offset, int length) {
        byte[] array = buffer.byteArray();
        if (array != null) {
            crc.update(array, buffer.wrapAdjustment() + offset, length);
            return;
        }
        for (int done = 0; done < length; done += CHUNK_BYTES) {
            int count = Math.min(CHUNK_BYTES, length - done);
            chunkBuffer.putBytes(0, buffer, offset + done, count);
            chunk.limit(count).position(0);
            crc.update(chunk);
        }
        chunk.clear();
    }

    /** 0 to 2^32-1. */
    long value() {
        return crc.getValue();
    }
}
