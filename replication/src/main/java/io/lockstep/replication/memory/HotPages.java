package io.lockstep.replication.memory;

import java.util.Arrays;
import java.util.BitSet;
import java.util.concurrent.atomic.AtomicLongArray;

/**
 * Pages that the guest writes in many epochs. To arm one costs the guest a fault and tells what is known beforehand, so a tracker that
 * {@link DirtyTracker#armsSelectively()} leaves it unarmed, and every hold reads it.
 *
 * <p>How often a page must be written to be worth that depends on what a fault costs ({@link FaultCost}): with 1 µs every other epoch, with the 14 µs
 * of a virtual machine one of eleven. A page becomes hot as soon as the scans of a window of {@link #SCANS} epochs have listed it so often: while it
 * is not, the faults slow the guest down, and make it look as if it wrote less. It ceases to be hot when its content did not change for some epochs, or
 * nobody could tell: the encoder compares it with what it last sent. Pieces of 2 MiB that are hot for the most part become and cease to be hot as a whole
 * ({@link HotPieces}). This is about speed alone: whatever is taken for hot, a page that is not armed is always listed by the next whole scan.
 *
 * <p>Capture thread only, but for {@link #compared}. Allocates nothing after construction.
 */
public final class HotPages {
    /** Pages of a piece that may become hot as a whole: as many as a huge page has. */
    public static final int PIECE_PAGES = HotPieces.PAGES;

    /** Epochs of a window: enough to tell a page that is written in one of eleven from one that is written in one of sixty. */
    static final int SCANS = 32;

    /** What it costs to read a page and find it unchanged: 0.3 µs in the hold, the rest on an encoder's thread. */
    private static final long READ_NS = 1_000;

    /** A page may be written twice in a short time by chance. */
    private static final int LISTED_MIN_LEAST = 3;

    /** A page that was not written for so many epochs is soon not hot, whatever a fault costs. */
    private static final int UNCHANGED_MAX_MOST = 16;

    private static final int UNCHANGED_MAX_LEAST = 2;

    private static final int WORD_BITS = 64;

    /** A whole piece of whose pages fewer than so many changed in a window is not hot any more. */
    private static final int PIECE_CHANGED_MIN = HotPieces.PAGES / 4;

    /** Of whole pieces the caller has not heard yet; those that have no room here are not put together. */
    private static final int FRESH_MAX = 64;

    private final PageIndex index;
    private final HotPieces pieces;
    private final int max;
    private final PageBitmap hot;
    /** Pages that the scans of this window have listed, and how often. */
    private final PageBitmap seen;

    private final byte[] listed;
    /** Pages that the window's scans have listed often enough, until the hold is over; as many as may be hot, the others come again. */
    private final int[] ripe;

    /** Epochs in a row without a change, of each page; written by the encoder that the page falls to. */
    private final byte[] unchangedEpochs;

    private final AtomicLongArray unchanged;
    private volatile boolean anyUnchanged;
    private final int unchangedMax;
    private final int listedMin;
    private int count;
    private int scans;
    private int ripeCount;
    private final int[] fresh = new int[FRESH_MAX];
    private int freshCount;

    /**
     * @param max pages that may be hot at once; 0 for none ever
     * @param faultNs what the first write to an armed page costs the guest
     * @param hugeBlocks indexes of the blocks whose memory may be in huge pages
     */
    public HotPages(PageIndex index, int max, long faultNs, BitSet hugeBlocks) {
        this.pieces = new HotPieces(index, hugeBlocks);
        this.unchangedMax = (int) Math.max(UNCHANGED_MAX_LEAST, Math.min(faultNs / READ_NS, UNCHANGED_MAX_MOST));
        this.listedMin = Math.max(LISTED_MIN_LEAST, SCANS / unchangedMax);
        this.index = index;
        this.max = max;
        this.ripe = new int[max];
        this.hot = new PageBitmap(index.limit());
        this.seen = new PageBitmap(index.limit());
        this.listed = new byte[max == 0 ? 0 : index.limit()];
        this.unchangedEpochs = new byte[max == 0 ? 0 : index.limit()];
        this.unchanged = new AtomicLongArray(max == 0 ? 0 : index.limit() / WORD_BITS);
    }

    /** How often the scans of a window must have listed a page. */
    int listedMin() {
        return listedMin;
    }

    /** Epochs in a row after which a page that did not change is not hot any more. */
    int unchangedMax() {
        return unchangedMax;
    }

    /** The numbering of the pages. */
    PageIndex index() {
        return index;
    }

    /** Pages that are hot now. */
    public int count() {
        return count;
    }

    /** Whether a page is hot. */
    public boolean contains(int flat) {
        return count > 0 && hot.get(flat);
    }

    /** Whether any page from one up to, but not including, another is hot. */
    boolean any(int from, int end) {
        return hot.nextSet(from, end) < end;
    }

    /** Takes those that are hot out of a set. */
    public void removeFrom(PageBitmap pages) {
        if (count > 0) {
            pages.andNot(hot);
        }
    }

    /** A scan that arms nothing lists these pages, end exclusive: one that does will list them again. */
    public void seen(int from, int end) {
        if (max > 0) {
            seen.set(from, end);
        }
    }

    /** A scan that arms lists these pages, end exclusive: each time the guest has paid a fault, unless they are hot. */
    public void listed(int from, int end) {
        if (max == 0) {
            return;
        }
        seen.set(from, end);
        for (int flat = from; flat < end; flat++) {
            if (listed[flat] < listedMin) {
                listed[flat]++;
            }
            if (listed[flat] == listedMin && ripeCount < max && !hot.get(flat)) {
                ripe[ripeCount++] = flat;
            }
        }
    }

    /** A hold is over, and all that it listed was read. */
    public void holdEnded() {
        if (max == 0) {
            return;
        }
        dropUnchanged();
        heat();
        if (++scans == SCANS) {
            scans = 0;
            review();
        }
    }

    private void heat() {
        for (int i = 0; i < ripeCount && count < max; i++) {
            int flat = ripe[i];
            if (!hot.get(flat)) {
                hot.set(flat, flat + 1);
                count++;
                int piece = pieces.heated(flat);
                if (piece >= 0 && count + pieces.missing(piece) <= max) {
                    complete(piece);
                }
            }
        }
        ripeCount = 0;
    }

    private void complete(int piece) {
        int first = pieces.first(piece);
        count += pieces.missing(piece);
        hot.set(first, first + HotPieces.PAGES);
        pieces.becomesWhole(piece);
        if (freshCount < FRESH_MAX) {
            fresh[freshCount++] = first;
        }
    }

    /** Flat index of the first page of a piece of {@link #PIECE_PAGES} that has become hot as a whole, once for each; negative if there is none. */
    public int takeWholePiece() {
        return freshCount == 0 ? -1 : fresh[--freshCount];
    }

    private void review() {
        int unchangedReportsMax = (HotPieces.PAGES - PIECE_CHANGED_MIN) * (SCANS / unchangedMax);
        for (int piece = pieces.nextWhole(0); piece >= 0; piece = pieces.nextWhole(piece + 1)) {
            if (pieces.takeUnchanged(piece) > unchangedReportsMax) {
                dissolve(piece);
            }
        }
        // Was armed before it became hot, and was not written since.
        for (int flat = hot.nextSet(0); flat < hot.limit(); flat = hot.nextSet(flat + 1)) {
            if (!seen.get(flat) && !pieces.isWhole(flat)) {
                drop(flat);
            }
        }
        for (int flat = seen.nextSet(0); flat < seen.limit(); flat = seen.nextSet(flat + 1)) {
            listed[flat] = 0;
        }
        seen.clear();
    }

    /** A hot page was compared with what was last sent of it, or could not be; on the thread of the encoder that it falls to. */
    public void compared(int block, int page, boolean changed) {
        int flat = index.flat(block, page);
        int epochs = changed ? 0 : unchangedEpochs[flat] + 1;
        if (epochs == unchangedMax) {
            epochs = 0;
            setUnchanged(flat);
        }
        if (unchangedEpochs[flat] != epochs) {
            unchangedEpochs[flat] = (byte) epochs;
        }
    }

    private void setUnchanged(int flat) {
        int word = flat / WORD_BITS;
        long bit = 1L << flat;
        long before;
        do {
            before = unchanged.get(word);
        } while (!unchanged.compareAndSet(word, before, before | bit));
        anyUnchanged = true;
    }

    private void dropUnchanged() {
        if (!anyUnchanged) {
            return;
        }
        anyUnchanged = false;
        for (int i = 0; i < unchanged.length(); i++) {
            if (unchanged.get(i) == 0) {
                continue;
            }
            for (long bits = unchanged.getAndSet(i, 0); bits != 0; bits &= bits - 1) {
                drop(i * WORD_BITS + Long.numberOfTrailingZeros(bits));
            }
        }
    }

    private void drop(int flat) {
        if (!hot.get(flat)) {
            return;
        }
        if (pieces.isWhole(flat)) {
            pieces.unchanged(flat);
        } else {
            hot.clear(flat, flat + 1);
            listed[flat] = 0;
            count--;
            pieces.cooled(flat);
        }
    }

    private void dissolve(int piece) {
        int first = pieces.first(piece);
        hot.clear(first, first + HotPieces.PAGES);
        Arrays.fill(listed, first, first + HotPieces.PAGES, (byte) 0);
        count -= HotPieces.PAGES;
        pieces.dissolves(piece);
    }
}
