package io.lockstep.replication.memory;

import io.lockstep.replication.RamBlock;
import java.util.BitSet;
import java.util.List;

/**
 * Pieces of memory that a huge page of the processor could hold, by how many of their pages are hot. To arm one page of a huge page splits it, and a
 * guest in small pages runs slower: its TLBs reach less far. Where most of a piece is hot, the whole is therefore taken for hot, so that nothing of it
 * is armed and the kernel can put it together again.
 *
 * <p>Capture thread only. Allocates nothing after construction.
 */
final class HotPieces {
    /** 2 MiB. */
    static final int PAGES = 512;

    /** From so many hot pages on the others of a piece become hot, too. */
    static final int HOT_MIN = PAGES / 2;

    private static final int NONE = -1;

    private final PageIndex index;
    /** Of each block: the number of its first piece, and how many it has. */
    private final int[] firstPiece;

    private final int[] pieceCount;
    /** Of each block: the flat index at which its first piece begins. */
    private final int[] firstFlat;

    private final int[] hotPages;
    /** Reports that a page of a whole piece did not change, in this window. */
    private final int[] unchangedReports;

    private final BitSet whole;
    private int wholeCount;

    /** @param blocks indexes of the blocks that may have huge pages */
    HotPieces(PageIndex index, BitSet blocks) {
        this.index = index;
        List<MemoryRegion> regions = index.regions();
        firstPiece = new int[regions.size()];
        pieceCount = new int[regions.size()];
        firstFlat = new int[regions.size()];
        int pieces = 0;
        for (int block = 0; block < regions.size(); block++) {
            MemoryRegion region = regions.get(block);
            int lead = (int) (-(region.hostAddress() / RamBlock.PAGE_BYTES) & (PAGES - 1));
            boolean small = region.block().pageBytes() == RamBlock.PAGE_BYTES;
            firstPiece[block] = pieces;
            pieceCount[block] =
                    small && blocks.get(block) ? Math.max(0, region.block().pageCount() - lead) / PAGES : 0;
            firstFlat[block] = index.flat(block, 0) + lead;
            pieces += pieceCount[block];
        }
        hotPages = new int[pieces];
        unchangedReports = new int[pieces];
        whole = new BitSet(pieces);
    }

    /** The piece that a page belongs to; negative if it belongs to none. */
    int of(int flat) {
        int block = index.block(flat);
        int piece = flat < firstFlat[block] ? NONE : (flat - firstFlat[block]) / PAGES;
        return piece >= 0 && piece < pieceCount[block] ? firstPiece[block] + piece : NONE;
    }

    /** Flat index of a piece's first page. */
    int first(int piece) {
        int block = 0;
        while (piece >= firstPiece[block] + pieceCount[block]) {
            block++;
        }
        return firstFlat[block] + (piece - firstPiece[block]) * PAGES;
    }

    /** A page became hot; returns its piece if that is ripe to become so as a whole, or a negative number. */
    int heated(int flat) {
        int piece = of(flat);
        if (piece < 0) {
            return NONE;
        }
        hotPages[piece]++;
        return hotPages[piece] >= HOT_MIN && !whole.get(piece) ? piece : NONE;
    }

    /** A page that belongs to no whole piece is not hot any more. */
    void cooled(int flat) {
        int piece = of(flat);
        if (piece >= 0) {
            hotPages[piece]--;
        }
    }

    /** Pages of a piece that are not hot yet. */
    int missing(int piece) {
        return PAGES - hotPages[piece];
    }

    /** All pages of a piece are hot now. */
    void becomesWhole(int piece) {
        whole.set(piece);
        wholeCount++;
        hotPages[piece] = PAGES;
        unchangedReports[piece] = 0;
    }

    /** None of its pages is hot any more. */
    void dissolves(int piece) {
        whole.clear(piece);
        wholeCount--;
        hotPages[piece] = 0;
    }

    /** Whether a page belongs to a piece that is hot as a whole. */
    boolean isWhole(int flat) {
        int piece = wholeCount == 0 ? NONE : of(flat);
        return piece >= 0 && whole.get(piece);
    }

    /** A page of a whole piece did not change for some epochs. */
    void unchanged(int flat) {
        unchangedReports[of(flat)]++;
    }

    /** The next whole piece from one on; negative if there is none. */
    int nextWhole(int from) {
        return whole.nextSetBit(from);
    }

    /** How often pages of a piece were reported unchanged since this was last asked. */
    int takeUnchanged(int piece) {
        int reports = unchangedReports[piece];
        unchangedReports[piece] = 0;
        return reports;
    }
}
