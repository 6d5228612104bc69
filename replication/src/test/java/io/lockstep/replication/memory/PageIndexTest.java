package io.lockstep.replication.memory;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.lockstep.replication.RamBlock;
import java.util.BitSet;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

class PageIndexTest {
    private static MemoryRegion region(int index, int pages, long address) {
        return new MemoryRegion(new RamBlock(index, "block" + index, pages * 4096L, 4096, index == 0), address);
    }

    @Test
    void shouldMapBothWaysWhenBlocksLieInAnyOrder() {
        PageIndex index = new PageIndex(
                List.of(region(0, 100, 0x7000_0000L), region(1, 64, 0x1000_0000L), region(2, 1, 0x7006_4000L)));
        assertThat(index.limit()).isEqualTo(128 + 64 + 64);
        assertThat(index.flat(1, 0)).isEqualTo(128);
        for (int block = 0; block < 3; block++) {
            for (int page = 0; page < index.regions().get(block).block().pageCount(); page++) {
                int flat = index.flat(block, page);
                assertThat(index.block(flat)).isEqualTo(block);
                assertThat(index.page(flat)).isEqualTo(page);
                assertThat(index.flatOfAddress(index.hostAddress(flat))).isEqualTo(flat);
            }
        }
        assertThat(index.flatOfAddress(0x6FFF_F000L)).isEqualTo(-1);
        assertThat(index.flatOfAddress(0x7006_5000L)).isEqualTo(-1);
        assertThat(index.flatOfAddress(0)).isEqualTo(-1);
    }

    @Test
    void shouldRefuseWhenRegionsOverlapOrAreMisnumbered() {
        assertThatThrownBy(() -> new PageIndex(List.of(region(0, 2, 0x10000), region(1, 2, 0x11000))))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("overlaps");
        assertThatThrownBy(() -> new PageIndex(List.of(region(1, 2, 0x10000))))
                .hasMessage("RAM block block1 has index 1 != 0");
        assertThatThrownBy(() -> region(0, 1, 0x10001))
                .hasMessage("RAM block block0 at 0x10001 is not at a multiple of 4096");
    }

    @Test
    void shouldAgreeWithBitSetWhenOperatedAtRandom() {
        long seed = 20260701;
        Random random = new Random(seed);
        int limit = 1024;
        PageBitmap bitmap = new PageBitmap(limit);
        PageBitmap other = new PageBitmap(limit);
        BitSet expected = new BitSet(limit);
        for (int i = 0; i < 20_000; i++) {
            int from = random.nextInt(limit + 1);
            int end = Math.min(limit, from + random.nextInt(200));
            switch (random.nextInt(4)) {
                case 0 -> {
                    bitmap.set(from, end);
                    expected.set(from, Math.max(from, end));
                }
                case 1 -> {
                    bitmap.clear(from, end);
                    expected.clear(from, Math.max(from, end));
                }
                case 2 -> {
                    other.clear();
                    other.set(from, end);
                    bitmap.or(other);
                    expected.set(from, Math.max(from, end));
                }
                default -> {
                    int next = expected.nextSetBit(from);
                    assertThat(bitmap.nextSet(from)).as("seed " + seed).isEqualTo(next < 0 ? limit : next);
                    assertThat(bitmap.nextClear(from))
                            .as("seed " + seed)
                            .isEqualTo(Math.min(limit, expected.nextClearBit(from)));
                    assertThat(from < limit && bitmap.get(from)).isEqualTo(expected.get(from));
                    assertThat(bitmap.cardinality()).isEqualTo(expected.cardinality());
                }
            }
        }
        assertThat(bitmap.limit()).isEqualTo(limit);
    }
}
