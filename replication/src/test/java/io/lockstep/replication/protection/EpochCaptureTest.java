package io.lockstep.replication.protection;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.lockstep.linux.FileRange;
import io.lockstep.linux.PageHelper;
import io.lockstep.linux.ProcessIdentity;
import io.lockstep.replication.RamBlock;
import io.lockstep.replication.link.DiscardingChannel;
import io.lockstep.replication.link.LinkException;
import io.lockstep.replication.memory.DirtyLedger;
import io.lockstep.replication.memory.DirtyTracker;
import io.lockstep.replication.memory.GuestMemory;
import io.lockstep.replication.memory.HotPages;
import io.lockstep.replication.memory.HugePageMerger;
import io.lockstep.replication.memory.LedgerIdentity;
import io.lockstep.replication.memory.MemoryRegion;
import io.lockstep.replication.memory.PageIndex;
import io.lockstep.replication.memory.ScanVector;
import io.lockstep.replication.memory.UserfaultTracker;
import io.lockstep.replication.pipeline.PagePipeline;
import io.lockstep.replication.pipeline.PipelineConfig;
import io.lockstep.replication.pipeline.PipelineException;
import io.lockstep.replication.wire.EpochKind;
import io.lockstep.replication.wire.RunState;
import java.nio.file.Path;
import java.util.BitSet;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import org.agrona.concurrent.SystemNanoClock;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(60)
class EpochCaptureTest {
    private static final int PAGES = 256;
    private static final int SCRUBBED = 8;
    private static final long WAIT_MS = 20_000;

    @TempDir
    Path directory;

    @Test
    void shouldReadTheSamePagesForTheNextSessionWhenOneBreaksInAHold() throws Exception {
        AtomicLong sent = new AtomicLong();
        try (PageHelper helper = new PageHelper()) {
            long area = helper.map("private", PAGES, "-");
            helper.ask("touch 0 " + PAGES);
            MemoryRegion region = new MemoryRegion(
                    new RamBlock(0, "pc.ram", PAGES * PageHelper.PAGE, RamBlock.PAGE_BYTES, true), area);
            PageIndex index = new PageIndex(List.of(region));
            LedgerIdentity identity = new LedgerIdentity("vm", ProcessIdentity.of(helper.pid()), List.of(region));
            try (DirtyTracker tracker = UserfaultTracker.attach(helper.pid(), List.of(region), new ScanVector(64), 1);
                    DirtyLedger ledger = DirtyLedger.open(
                            directory.resolve("ledger"), identity, index, DirtyLedger.SLOTS_DEFAULT, 64);
                    HugePageMerger merger = new HugePageMerger(helper.pid(), "vm");
                    PagePipeline pipeline = new PagePipeline(
                            PipelineConfig.defaults(),
                            Thread::new,
                            counts -> sent.addAndGet(counts.pageCount()),
                            (block, page, changed) -> {},
                            SystemNanoClock.INSTANCE)) {
                EpochCapture capture = new EpochCapture(
                        index,
                        tracker,
                        new Discards(List.of(), index.limit()),
                        ledger,
                        new GuestMemory(helper.pid(), index),
                        new PopulatedPages(index, new FileRange[1], new long[1]),
                        pipeline,
                        new HotPages(index, 0, 0, new BitSet()),
                        merger);
                pipeline.attach(new DiscardingChannel(), false, WAIT_MS);
                pipeline.epochBegin(1, EpochKind.DELTA, 0);
                capture.scanHeld(1);
                assertThat(capture.pendingCount()).isEqualTo(PAGES);
                capture.copyHeld();
                pipeline.abort(new LinkException(LinkException.Kind.CLOSED, "link-closed", "the link broke"));
                assertThatThrownBy(() -> capture.scrubHeld(SCRUBBED)).isInstanceOf(PipelineException.class);
                capture.abandon();
                pipeline.detach(WAIT_MS);
                assertThat(sent).hasValue(0);

                pipeline.attach(new DiscardingChannel(), false, WAIT_MS);
                capture.resumeFrom(0);
                assertThat(capture.pendingCount()).isEqualTo(PAGES);
                pipeline.epochBegin(1, EpochKind.DELTA, 0);
                capture.copyHeld();
                capture.scrubHeld(SCRUBBED);
                capture.publish();
                pipeline.epochEnd(1, EpochKind.DELTA, RunState.RUNNING, 0, 0, 1);
                pipeline.awaitDrained(WAIT_MS);
                assertThat(sent).hasValue(PAGES);
                tracker.detach();
            }
        }
    }
}
