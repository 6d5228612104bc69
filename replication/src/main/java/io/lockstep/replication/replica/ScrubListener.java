package io.lockstep.replication.replica;

import io.lockstep.replication.link.ControlMessage.Page;
import java.util.List;

/** Learns what comparing the replica's pages with the primary's found. Called on the applier's thread. */
interface ScrubListener {
    /** So many pages were compared after an epoch was applied; all alike. */
    void scrubbed(long pages);

    /** These pages differ from the primary's at the epoch's boundary. */
    void scrubMismatch(long epoch, List<Page> differing);

    /** All pages that the primary hashed were compared; at most the first 4096 that differ are named. */
    void verified(long epoch, long pagesCompared, long pagesDiffering, List<Page> differing);
}
