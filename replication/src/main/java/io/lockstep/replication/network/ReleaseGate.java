package io.lockstep.replication.network;

import java.util.concurrent.atomic.AtomicLongArray;

/**
 * Which of the held frames may leave. Frames are told apart by their place in their netdev's log, and an epoch by what had come by its
 * boundary.
 *
 * <pre>
 *   position ----->      | frames | boundary 7 | frames | boundary 8 | frames, epoch 9 under way
 *   acknowledged 7:      leave                 | wait
 * </pre>
 *
 * <p>Invariants: Unless {@link #passing()}, a frame leaves only after the acknowledgement of an epoch whose boundary came after it. An
 * acknowledgement of an epoch that was not cut in this session releases nothing, now or later.
 *
 * <p>Threads: boundaries, cuts, passing and sessions on the capture thread, acknowledgements on any, the rest on the thread that moves frames.
 */
public final class ReleaseGate {
    /** More than epochs can be in flight. */
    private static final int CUTS_MAX = 16;

    private final int lineCount;
    private final long[] boundaries;
    private final AtomicLongArray lastCuts;
    private final long[] releasable;
    private final long[][] cutPositions;
    private final long[] cutEpochs = new long[CUTS_MAX];
    private int cutCount;
    private volatile boolean passing = true;
    private volatile boolean loose = true;
    private volatile long lastCutEpoch = -1;
    private volatile long ackedEpoch = -1;

    /** @param lineCount netdevs */
    public ReleaseGate(int lineCount) {
        this.lineCount = lineCount;
        boundaries = new long[lineCount];
        lastCuts = new AtomicLongArray(lineCount);
        releasable = new long[lineCount];
        cutPositions = new long[CUTS_MAX][lineCount];
    }

    /** Whether everything leaves as it comes. */
    public boolean passing() {
        return passing;
    }

    /** Everything leaves, until the next {@link #hold}. */
    public void pass() {
        passing = true;
        loose = true;
    }

    /** A session begins anew with a peer that has nothing: as {@link #pass}, and no epoch of an earlier one is acknowledged any more. */
    public synchronized void passAnew() {
        cutCount = 0;
        lastCutEpoch = -1;
        ackedEpoch = -1;
        pass();
    }

    /** Everything leaves, unless an epoch was cut since the last session began: what comes after that boundary waits for the next one. */
    public void passUnlessCut() {
        if (lastCutEpoch < 0) {
            pass();
        }
    }

    /** From now on nothing leaves unacknowledged: in the pause, before the first {@link #boundary}. */
    public void hold() {
        passing = false;
    }

    /** In the pause: what had come on a netdev by its boundary. */
    public void boundary(int line, long position) {
        boundaries[line] = position;
    }

    /** The last boundary was this epoch's: before its end is sent. */
    public synchronized void cut(long epoch) {
        if (cutCount == CUTS_MAX) {
            apply(); // the thread that moves frames is late
        }
        if (cutCount == CUTS_MAX) {
            throw new IllegalStateException(CUTS_MAX + " epochs are not acknowledged");
        }
        cutEpochs[cutCount] = epoch;
        for (int i = 0; i < lineCount; i++) {
            cutPositions[cutCount][i] = boundaries[i];
            lastCuts.set(i, boundaries[i]);
        }
        cutCount++;
        lastCutEpoch = epoch;
    }

    /** A session goes on after an epoch that the peer holds; the later ones will be made again. */
    public synchronized void resumed(long committedEpoch) {
        int kept = 0;
        while (kept < cutCount && cutEpochs[kept] <= committedEpoch) {
            kept++;
        }
        for (int i = 0; i < lineCount; i++) {
            if (kept > 0) {
                releasable[i] = Math.max(releasable[i], cutPositions[kept - 1][i]);
            }
            lastCuts.set(i, releasable[i]);
        }
        loose &= passing || kept == 0;
        cutCount = 0;
        lastCutEpoch = -1;
        ackedEpoch = -1;
    }

    /** The peer holds the epoch; false if that releases nothing. */
    public boolean acknowledged(long epoch) {
        if (epoch <= ackedEpoch || epoch > lastCutEpoch) {
            return false;
        }
        ackedEpoch = epoch;
        return true;
    }

    /** Whether nothing has left that the last acknowledged epoch does not cover; holding alone says nothing of what left before. */
    public boolean exact() {
        apply();
        return !loose;
    }

    /** Whether frames up to a position wait for an epoch that has not ended. */
    public boolean waits(int line, long position) {
        return !passing && position > lastCuts.get(line);
    }

    /**
     * Whether what came after a position is the first since the last cut. The capture thread writes the cut and then looks at what came, this
     * one the other way round, so that one of them sees the other.
     */
    boolean firstSinceCut(long position, int line) {
        return !passing && lastCuts.get(line) >= position;
    }

    /** Takes acknowledgements; whether they release anything. */
    synchronized boolean apply() {
        int done = 0;
        while (done < cutCount && cutEpochs[done] <= ackedEpoch) {
            done++;
        }
        if (done == 0) {
            return false;
        }
        boolean news = false;
        for (int i = 0; i < lineCount; i++) {
            long position = cutPositions[done - 1][i];
            news |= position > releasable[i];
            releasable[i] = Math.max(releasable[i], position);
            for (int left = done; left < cutCount; left++) {
                cutPositions[left - done][i] = cutPositions[left][i];
            }
        }
        System.arraycopy(cutEpochs, done, cutEpochs, 0, cutCount - done);
        cutCount -= done;
        loose &= passing;
        return news;
    }

    /**
     * Up to where frames may leave.
     *
     * @param position up to where they have come
     */
    public synchronized long until(int line, long position) {
        apply();
        if (passing) {
            releasable[line] = Math.max(releasable[line], position);
        }
        return releasable[line];
    }
}
