package io.lockstep.replication.pipeline;

import io.lockstep.replication.RamBlock;
import java.nio.ByteBuffer;
import net.jpountz.xxhash.XXHash64;
import net.jpountz.xxhash.XXHashFactory;

/** The hash by which both sides compare a page: XXH64, seed 0. Any thread; nothing is allocated. */
public final class PageHash {
    private static final XXHash64 XXH64 = XXHashFactory.fastestInstance().hash64();

    private PageHash() {}

    /** Hash of the 4096 bytes from {@code offset} on; position and limit are neither used nor changed. */
    public static long of(ByteBuffer content, int offset) {
        return XXH64.hash(content, offset, RamBlock.PAGE_BYTES, 0);
    }
}
