package io.lockstep.replication.memory;

import static org.assertj.core.api.Assertions.assertThat;

import io.lockstep.replication.RamBlock;
import java.util.List;
import org.junit.jupiter.api.Test;

class HotPagesTest {
    private static final int MAX = 4;

    private final PageIndex index =
            new PageIndex(List.of(new MemoryRegion(new RamBlock(0, "pc.ram", 256 * 4096, 4096, true), 0x10_0000)));
    private final HotPages hot = new HotPages(index, MAX);

    @Test
    void shouldMakePagesHotWhenHalfOfTheHoldsOfAWindowListedThem() {
        hold(hot, 3, 9);
        hold(hot, 70);
        hold(hot);
        hold(hot, 3, 70);
        assertThat(hot.count()).isEqualTo(2);
        assertThat(hot.contains(3)).isTrue();
        assertThat(hot.contains(70)).isTrue();
        assertThat(hot.contains(9)).isFalse();
        assertThat(hot.any(4, 70)).isFalse();
        assertThat(hot.any(4, 71)).isTrue();
    }

    @Test
    void shouldNotCountHoldsOfAnEarlierWindow() {
        for (int hold = 1; hold < HotPages.SCANS; hold++) {
            hold(hot);
        }
        hold(hot, 1);
        hold(hot, 1);
        for (int hold = 1; hold < HotPages.SCANS; hold++) {
            hold(hot);
        }
        assertThat(hot.count()).isZero();
    }

    @Test
    void shouldMakeNoMorePagesHotThanAllowed() {
        window(hot, 1, 2, 3, 4, 5, 6);
        assertThat(hot.count()).isEqualTo(MAX);
        window(hot, 1, 2, 3, 4, 5, 6);
        assertThat(hot.count()).isEqualTo(MAX);
    }

    @Test
    void shouldDropAPageWhenItsContentDidNotChangeForSomeEpochs() {
        window(hot, 1, 2);
        for (int epoch = 1; epoch < HotPages.UNCHANGED_MAX; epoch++) {
            hot.compared(0, 2, false);
        }
        hot.compared(0, 2, true);
        for (int epoch = 1; epoch < HotPages.UNCHANGED_MAX; epoch++) {
            hot.compared(0, 2, false);
        }
        hold(hot, 1, 2);
        assertThat(hot.contains(2)).isTrue();
        hot.compared(0, 2, false);
        assertThat(hot.contains(2)).as("before the next hold ends").isTrue();
        hold(hot, 1, 2);
        assertThat(hot.contains(2)).isFalse();
        assertThat(hot.count()).isEqualTo(1);
    }

    @Test
    void shouldPassOverWordsOfPagesThatAreNotHotAnyMore() {
        window(hot, 1, 2);
        for (int epoch = 0; epoch < HotPages.UNCHANGED_MAX; epoch++) {
            hot.compared(0, 77, false);
        }
        hold(hot, 1, 2);
        assertThat(hot.count()).isEqualTo(2);
    }

    @Test
    void shouldDropAPageWhenItIsNotListedAnyMore() {
        window(hot, 1, 2);
        window(hot, 2);
        assertThat(hot.contains(1)).isFalse();
        assertThat(hot.contains(2)).isTrue();
    }

    @Test
    void shouldMakeNoPageHotWhenNoneIsAllowed() {
        HotPages none = new HotPages(index, 0);
        window(none, 1, 2);
        assertThat(none.count()).isZero();
        assertThat(none.contains(1)).isFalse();
    }

    @Test
    void shouldTakeHotPagesOutOfASet() {
        PageBitmap pages = new PageBitmap(index.limit());
        pages.set(0, 80);
        hot.removeFrom(pages);
        assertThat(pages.cardinality()).isEqualTo(80);
        window(hot, 1, 70, 90);
        hot.removeFrom(pages);
        assertThat(pages.cardinality()).isEqualTo(78);
    }

    private void window(HotPages pages, int... listed) {
        for (int hold = 0; hold < HotPages.SCANS; hold++) {
            hold(pages, listed);
        }
    }

    private void hold(HotPages pages, int... listed) {
        for (int page : listed) {
            pages.listed(page, page + 1);
        }
        pages.holdEnded();
    }
}
