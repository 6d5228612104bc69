package io.lockstep.replication.pipeline;

import io.lockstep.replication.RamBlock;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;

/** Memory of a few RAM blocks in byte arrays: a seeded source of page versions, or the sink that they are applied to. */
final class PageModel implements PageSink {
    static final int PAGE_BYTES = RamBlock.PAGE_BYTES;

    final byte[][][] blocks;

    PageModel(int... pageCounts) {
        blocks = new byte[pageCounts.length][][];
        for (int block = 0; block < pageCounts.length; block++) {
            blocks[block] = new byte[pageCounts[block]][PAGE_BYTES];
        }
    }

    List<RamBlock> ramBlocks() {
        List<RamBlock> list = new ArrayList<>();
        for (int i = 0; i < blocks.length; i++) {
            list.add(new RamBlock(i, "block" + i, blocks[i].length * (long) PAGE_BYTES, PAGE_BYTES, i == 0));
        }
        return list;
    }

    PageModel copy() {
        PageModel copy = new PageModel(
                java.util.Arrays.stream(blocks).mapToInt(b -> b.length).toArray());
        for (int block = 0; block < blocks.length; block++) {
            for (int page = 0; page < blocks[block].length; page++) {
                System.arraycopy(blocks[block][page], 0, copy.blocks[block][page], 0, PAGE_BYTES);
            }
        }
        return copy;
    }

    /** Changes a page in one of the ways that guests do. */
    void mutate(Random random, int block, int page) {
        byte[] bytes = blocks[block][page];
        switch (random.nextInt(8)) {
            case 0 -> java.util.Arrays.fill(bytes, (byte) 0);
            case 1 -> random.nextBytes(bytes);
            case 2 -> {
                for (int i = 0; i < PAGE_BYTES; i++) {
                    bytes[i] = (byte) (i / (1 + random.nextInt(40)) + (random.nextInt(20) == 0 ? random.nextInt() : 0));
                }
            }
            case 3, 4 -> bytes[random.nextInt(PAGE_BYTES)]++;
            case 5 -> {
                int runs = 1 + random.nextInt(64);
                for (int i = 0; i < runs; i++) {
                    int start = random.nextInt(PAGE_BYTES);
                    int end = Math.min(PAGE_BYTES, start + 1 + random.nextInt(40));
                    for (int at = start; at < end; at++) {
                        bytes[at] = (byte) random.nextInt();
                    }
                }
            }
            case 6 -> {
                bytes[0] ^= 1;
                bytes[PAGE_BYTES - 1] ^= 1;
            }
            default -> {}
        }
    }

    @Override
    public void read(int block, int page, ByteBuffer into) {
        into.put(blocks[block][page]);
    }

    @Override
    public void write(int block, int page, ByteBuffer content) {
        if (content.position() != 0 || content.limit() != PAGE_BYTES) {
            throw new AssertionError("page content " + content);
        }
        content.get(blocks[block][page]);
    }

    @Override
    public void zero(int block, int page) {
        java.util.Arrays.fill(blocks[block][page], (byte) 0);
    }
}
