package io.lockstep.replication.memory;

import static org.assertj.core.api.Assertions.assertThat;

import io.lockstep.replication.RamBlock;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import org.junit.jupiter.api.Test;

class ColdRangesTest {
    private static final int HUGE_PAGES = 512;
    private static final long START = 0x4000_0000L;

    private final ColdRanges cold = new ColdRanges();
    private final List<Long> hotListed = new ArrayList<>();

    private void begin(int pageBytes, int... hotPages) {
        MemoryRegion region = new MemoryRegion(new RamBlock(0, "pc.ram", 4L << 21, pageBytes, true), START);
        HotPages hot = new HotPages(new PageIndex(List.of(region)), 2048, 0, new BitSet());
        for (int i = 0; i < HotPages.SCANS; i++) {
            for (int page : hotPages) {
                hot.listed(page, page + 1);
            }
            hot.holdEnded();
        }
        assertThat(hot.count()).isEqualTo(hotPages.length);
        cold.begin(hot, region, (from, end) -> hotListed.add(page(from)));
    }

    private void list(int from, int end) {
        cold.add(START + from * 4096L, START + end * 4096L);
    }

    private static long page(long address) {
        return (address - START) / 4096;
    }

    private List<String> ranges() {
        List<String> ranges = new ArrayList<>();
        for (int i = 0; i < cold.count(); i++) {
            ranges.add(page(cold.start(i)) + ".." + page(cold.end(i)));
        }
        return ranges;
    }

    @Test
    void shouldLeaveHotPagesOutWhenPagesAreSmall() {
        begin(4096, 5, 20);
        list(3, 8);
        list(9, 11);
        list(30, 31);
        assertThat(ranges()).containsExactly("3..5", "6..11", "30..31");
        assertThat(hotListed).containsExactly(5L);
    }

    /** The kernel does not arm a part of a huge page, and does not go on behind it: a scan for that would never end. */
    @Test
    void shouldArmWholePagesOfTheBackingWhenTheyAreHuge() {
        begin(HUGE_PAGES * 4096, 5, 20, HUGE_PAGES + 7, 3 * HUGE_PAGES);
        list(0, HUGE_PAGES);
        list(2 * HUGE_PAGES, 3 * HUGE_PAGES);
        list(3 * HUGE_PAGES, 3 * HUGE_PAGES + 1);
        assertThat(ranges()).containsExactly("0.." + HUGE_PAGES, 2 * HUGE_PAGES + ".." + 3 * HUGE_PAGES);
        assertThat(hotListed).containsExactly(5L, 20L, 3L * HUGE_PAGES);
    }
}
