package io.lockstep.replication.replica;

import io.lockstep.replication.link.ControlMessage.Page;
import io.lockstep.replication.link.ControlMessage.ScrubMismatch;
import io.lockstep.replication.link.ControlMessage.VerifyResult;
import java.util.List;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Counts what the applier found when it compared pages, and tells the primary, which sends again what differs.
 *
 * <p>The applier's thread.
 */
final class ScrubReports implements ScrubListener {
    private static final Logger LOG = LoggerFactory.getLogger(ScrubReports.class);

    private final String vm;
    private final ReplicaListener listener;
    private final ReplicaCounters counters;
    private final CurrentSession session;

    ScrubReports(String vm, ReplicaListener listener, ReplicaCounters counters, CurrentSession session) {
        this.vm = vm;
        this.listener = listener;
        this.counters = counters;
        this.session = session;
    }

    @Override
    public void scrubbed(long pages) {
        counters.scrubbedPages.addAndGet(pages);
    }

    @Override
    public void scrubMismatch(long epoch, List<Page> differing) {
        counters.scrubMismatches.addAndGet(differing.size());
        LOG.error(
                "{}: {} pages differ from the primary's at epoch {}, first {}",
                vm,
                differing.size(),
                epoch,
                differing.get(0));
        session.send(new ScrubMismatch(epoch, differing));
        listener.scrubMismatch(vm, epoch, differing);
    }

    @Override
    public void verified(long epoch, long pagesCompared, long pagesDiffering, List<Page> differing) {
        session.send(new VerifyResult(epoch, pagesCompared, pagesDiffering, differing));
    }
}
