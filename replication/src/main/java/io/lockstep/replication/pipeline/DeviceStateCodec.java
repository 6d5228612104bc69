package io.lockstep.replication.pipeline;

import java.nio.ByteBuffer;
import net.jpountz.lz4.LZ4Compressor;
import net.jpountz.lz4.LZ4Exception;
import net.jpountz.lz4.LZ4Factory;
import net.jpountz.lz4.LZ4SafeDecompressor;
import org.agrona.BufferUtil;
import org.agrona.DirectBuffer;
import org.agrona.concurrent.UnsafeBuffer;

/**
 * The device state on the link: one LZ4 block, or the state itself where that is not shorter. It is mostly zeros and tables: 60 to 170 kB
 * become about 5 to 15, outside of the pause. One thread at a time; allocates nothing per state.
 */
public final class DeviceStateCodec {
    private final LZ4Compressor compressor = LZ4Factory.fastestInstance().fastCompressor();
    private final LZ4SafeDecompressor decompressor =
            LZ4Factory.fastestInstance().safeDecompressor();
    private final ByteBuffer scratchBytes;
    private final UnsafeBuffer scratch;

    /** @param bytesMax largest state */
    public DeviceStateCodec(int bytesMax) {
        scratchBytes = BufferUtil.allocateDirectAligned(bytesMax + bytesMax / 255 + 16, 64);
        scratch = new UnsafeBuffer(scratchBytes);
    }

    /** Makes the form that travels; {@link #encoded()} holds it. Returns its length, or 0 if the state itself is to travel. */
    int encode(ByteBuffer state, int length) {
        if (length == 0) {
            return 0;
        }
        int bytes = compressor.compress(state, 0, length, scratchBytes, 0, scratchBytes.capacity());
        return bytes < length ? bytes : 0;
    }

    /** What {@link #encode} made last. */
    DirectBuffer encoded() {
        return scratch;
    }

    /**
     * Restores a state.
     *
     * @param stateBytes its length, as the message says
     * @param into filled from 0 on; its limit is set behind the state
     * @return whether the bytes are a state of that length; if not, the buffer is empty
     */
    public boolean decode(DirectBuffer source, int offset, int length, int stateBytes, ByteBuffer into) {
        into.clear().limit(0);
        if (stateBytes < 0 || stateBytes > into.capacity() || length > stateBytes) {
            return false;
        }
        into.limit(into.capacity());
        if (length == stateBytes) {
            source.getBytes(offset, into, 0, length);
        } else {
            try {
                source.getBytes(offset, scratchBytes, 0, length);
                if (decompressor.decompress(scratchBytes, 0, length, into, 0, stateBytes) != stateBytes) {
                    into.limit(0);
                    return false;
                }
            } catch (LZ4Exception e) {
                into.limit(0);
                return false;
            }
        }
        into.limit(stateBytes);
        return true;
    }
}
