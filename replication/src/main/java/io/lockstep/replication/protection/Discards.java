package io.lockstep.replication.protection;

import io.lockstep.linux.LinuxException;
import io.lockstep.replication.memory.DirtyLedger;
import io.lockstep.replication.memory.DiscardWatch;
import io.lockstep.replication.memory.PageBitmap;
import java.util.List;

/** Pages that the guest gave back through a balloon or the like; no tracker reports them. Capture thread only. */
final class Discards implements AutoCloseable {
    private final List<DiscardWatch> watches;
    private final PageBitmap found;

    /** @param watches one a shared block; none if no device of the VM discards */
    Discards(List<DiscardWatch> watches, int limit) {
        this.watches = List.copyOf(watches);
        this.found = new PageBitmap(limit);
    }

    /** Adds what was discarded since the last call to the epoch being scanned; at a stop. */
    void collect(DirtyLedger ledger, PageBitmap pending, PopulatedPages populated) throws LinuxException {
        for (int i = 0; i < watches.size(); i++) {
            if (watches.get(i).discarded(found) > 0) {
                for (int from = found.nextSet(0); from < found.limit(); ) {
                    int to = found.nextClear(from);
                    ledger.add(from, to);
                    populated.discarded(from, to);
                    pending.set(from, to);
                    from = found.nextSet(to);
                }
                found.clear();
            }
        }
    }

    @Override
    public void close() {
        watches.forEach(DiscardWatch::close);
    }
}
