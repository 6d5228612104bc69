package io.lockstep.replication.memory;

import static org.assertj.core.api.Assertions.assertThat;

import io.lockstep.replication.RamBlock;
import java.util.BitSet;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class HotPagesTest {
    private static final int MAX = 4;

    private final PageIndex index =
            new PageIndex(List.of(new MemoryRegion(new RamBlock(0, "pc.ram", 256 * 4096, 4096, true), 0x10_0000)));
    private final HotPages hot = new HotPages(index, MAX, 0, new BitSet());

    @ParameterizedTest
    @CsvSource({"0, 2, 16", "1_000, 2, 16", "4_000, 4, 8", "14_000, 14, 3", "100_000, 16, 3"})
    void shouldAskForFewerWritesWhenAFaultIsDear(String faultNs, int unchangedMax, int listedMin) {
        HotPages dear = new HotPages(index, MAX, Long.parseLong(faultNs.replace("_", "")), new BitSet());
        assertThat(dear.unchangedMax()).isEqualTo(unchangedMax);
        assertThat(dear.listedMin()).isEqualTo(listedMin);
    }

    @Test
    void shouldMakePagesHotAsSoonAsEnoughHoldsOfAWindowListedThem() {
        hold(hot, 9);
        for (int i = 1; i <= hot.listedMin(); i++) {
            assertThat(hot.count()).isZero();
            hold(hot, 3, 70);
        }
        assertThat(hot.count()).isEqualTo(2);
        assertThat(hot.contains(3)).isTrue();
        assertThat(hot.contains(70)).isTrue();
        assertThat(hot.contains(9)).isFalse();
        assertThat(hot.any(4, 70)).isFalse();
        assertThat(hot.any(4, 71)).isTrue();
    }

    @Test
    void shouldFindRoomForOthersWhenHotPagesAreListedFirst() {
        window(hot, 1, 2, 3);
        for (int i = 1; i <= hot.listedMin(); i++) {
            hold(hot, 1, 2, 3, 200);
        }
        assertThat(hot.contains(200)).isTrue();
    }

    @Test
    void shouldAskForAsManyWritesAgainWhenAPageWasDropped() {
        for (int i = 1; i <= hot.listedMin(); i++) {
            hold(hot, 1);
        }
        for (int epoch = 0; epoch < hot.unchangedMax(); epoch++) {
            hot.compared(0, 1, false);
        }
        hold(hot, 1);
        for (int i = 1; i < hot.listedMin(); i++) {
            hold(hot, 1);
            assertThat(hot.contains(1)).isFalse();
        }
    }

    @Test
    void shouldNotCountHoldsOfAnEarlierWindow() {
        for (int i = 1; i < HotPages.SCANS; i++) {
            hold(hot);
        }
        hold(hot, 1);
        for (int i = 1; i < hot.listedMin(); i++) {
            hold(hot, 1);
        }
        for (int i = hot.listedMin(); i <= HotPages.SCANS; i++) {
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
        for (int epoch = 1; epoch < hot.unchangedMax(); epoch++) {
            hot.compared(0, 2, false);
        }
        hot.compared(0, 2, true);
        for (int epoch = 1; epoch < hot.unchangedMax(); epoch++) {
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
        for (int epoch = 0; epoch < hot.unchangedMax(); epoch++) {
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
    void shouldKeepAHotPageAndMakeNoneHotWhenScansThatArmNothingListThem() {
        window(hot, 1);
        for (int hold = 0; hold < 2 * HotPages.SCANS; hold++) {
            hot.seen(1, 3);
            hot.holdEnded();
        }
        assertThat(hot.contains(1)).isTrue();
        assertThat(hot.contains(2)).isFalse();
    }

    @Test
    void shouldMakeNoPageHotWhenNoneIsAllowed() {
        HotPages none = new HotPages(index, 0, 0, new BitSet());
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

    /** 16 pages before the first huge page's boundary, two huge pages, and 100 pages more. */
    private static final int LEAD = 16;

    private static HotPages withPieces(int max) {
        long start = 0x40_0000 - LEAD * 4096L;
        RamBlock block = new RamBlock(0, "pc.ram", (LEAD + 2 * HotPages.PIECE_PAGES + 100) * 4096L, 4096, true);
        BitSet huge = new BitSet();
        huge.set(0);
        return new HotPages(new PageIndex(List.of(new MemoryRegion(block, start))), max, 0, huge);
    }

    private static int[] range(int from, int end) {
        return IntStream.range(from, end).toArray();
    }

    @Test
    void shouldTakeAPieceForHotWhenHalfOfItIs() {
        HotPages pages = withPieces(4096);
        // What lies before the first boundary and behind the last one belongs to no piece.
        int behind = LEAD + 2 * HotPages.PIECE_PAGES;
        int[] outside = IntStream.concat(IntStream.range(0, LEAD), IntStream.range(behind, behind + 100))
                .toArray();
        int last = LEAD + HotPages.PIECE_PAGES - 1;
        window(pages, outside);
        window(pages, range(last - HotPieces.HOT_MIN + 2, last + 1));
        assertThat(pages.takeWholePiece()).isNegative();
        assertThat(pages.count()).isEqualTo(HotPieces.HOT_MIN - 1);

        window(pages, range(last - HotPieces.HOT_MIN + 1, last + 1));
        assertThat(pages.takeWholePiece()).isEqualTo(LEAD);
        assertThat(pages.takeWholePiece()).isNegative();
        assertThat(pages.contains(LEAD)).isTrue();
        assertThat(pages.contains(last)).isTrue();
        assertThat(pages.contains(last + 1)).isFalse();
        assertThat(pages.count()).isEqualTo(HotPages.PIECE_PAGES);
    }

    @Test
    void shouldLeaveAPieceAloneWhenThereIsNoRoomForAllOfIt() {
        HotPages pages = withPieces(HotPages.PIECE_PAGES - 1);
        window(pages, range(LEAD, LEAD + 400));
        assertThat(pages.takeWholePiece()).isNegative();
        assertThat(pages.count()).isEqualTo(400);
    }

    @Test
    void shouldKeepAPieceWholeAsLongAsAQuarterOfItChanges() {
        HotPages pages = withPieces(4096);
        window(pages, range(LEAD, LEAD + HotPieces.HOT_MIN));
        assertThat(pages.takeWholePiece()).isEqualTo(LEAD);
        for (int window = 0; window < 3; window++) {
            changing(pages, HotPages.PIECE_PAGES / 4);
            assertThat(pages.count()).isEqualTo(HotPages.PIECE_PAGES);
        }
        changing(pages, 10);
        assertThat(pages.count()).isZero();
        assertThat(pages.contains(LEAD)).isFalse();
        // And again.
        window(pages, range(LEAD, LEAD + HotPieces.HOT_MIN));
        assertThat(pages.takeWholePiece()).isEqualTo(LEAD);
    }

    /** A window of epochs in which so many of the first piece's pages change and the others do not. */
    private void changing(HotPages pages, int changing) {
        for (int epoch = 0; epoch < HotPages.SCANS; epoch++) {
            pages.seen(LEAD, LEAD + HotPages.PIECE_PAGES);
            for (int page = 0; page < HotPages.PIECE_PAGES; page++) {
                pages.compared(0, LEAD + page, page < changing);
            }
            pages.holdEnded();
        }
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
