package io.lockstep.replication.memory;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import io.lockstep.linux.NativeBlock;
import io.lockstep.linux.Pipe;
import io.lockstep.linux.Poll;
import io.lockstep.linux.ProcessIdentity;
import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.util.BitSet;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** What happens in every epoch allocates nothing. */
@Tag("kernel")
@Timeout(120)
class ScanAllocationTest {
    private static final int EPOCHS = 2_000;

    @TempDir
    Path directory;

    @Test
    void shouldAllocateNothingWhenScanningCopyingAndBookkeeping() throws Exception {
        ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        long self = Thread.currentThread().getId();
        try (WatchedProcess process = new WatchedProcess("memfd")) {
            LedgerIdentity identity =
                    new LedgerIdentity("vm", ProcessIdentity.of(process.helper.pid()), process.regions);
            try (DirtyLedger ledger = DirtyLedger.open(directory.resolve("ledger"), identity, process.index, 4, 64);
                    DirtyTracker tracker =
                            UserfaultTracker.attach(process.helper.pid(), process.regions, ledger.scanVector(), 1);
                    DiscardWatch discards = new DiscardWatch(
                            process.helper.pid(),
                            Path.of("/proc/" + process.helper.pid() + "/fd/" + process.helper.fd()),
                            101 * 4096L,
                            process.index,
                            1);
                    Pipe pipe = new Pipe(4096)) {
                process.helper.ask("touch 0 1000");
                Epochs epochs = new Epochs(process, ledger, tracker, discards, pipe);
                epochs.run(EPOCHS);
                long before = threads.getThreadAllocatedBytes(self);
                // What the question itself allocates is measured, too, and taken off.
                long question = threads.getThreadAllocatedBytes(self) - before;
                before = threads.getThreadAllocatedBytes(self);
                epochs.run(EPOCHS);
                long allocated = threads.getThreadAllocatedBytes(self) - before - question;
                assertThat(allocated).isLessThan(EPOCHS);
                tracker.detach();
            }
        }
    }

    /** The capture thread's work, over and over. */
    private static final class Epochs {
        private final DirtyLedger ledger;
        private final DirtyTracker tracker;
        private final DiscardWatch discards;
        private final Pipe pipe;
        private final Poll poll = new Poll(1);
        private final NativeBlock pages = new NativeBlock(512 * 4096);
        private final GuestMemory memory;
        private final PageBitmap punched;
        private final HotPages hot;
        private long epoch;

        Epochs(WatchedProcess process, DirtyLedger ledger, DirtyTracker tracker, DiscardWatch discards, Pipe pipe) {
            this.ledger = ledger;
            this.tracker = tracker;
            this.discards = discards;
            this.pipe = pipe;
            this.memory = new GuestMemory(process.helper.pid(), process.index);
            this.punched = new PageBitmap(process.index.limit());
            this.hot = new HotPages(process.index, 64, 0, new BitSet());
            poll.set(0, pipe.readFd(), Poll.IN);
        }

        void run(int count) throws Exception {
            for (int i = 0; i < count; i++) {
                ledger.beginScan(epoch);
                tracker.peek(ledger.sink());
                tracker.scanAndArmCold(hot, true, ledger.sink());
                discards.discarded(punched);
                PageBitmap dirty = ledger.endScan(epoch);
                // Two pages of each block stand for what was written.
                dirty.set(0, 2);
                dirty.set(128, 130);
                copy(dirty);
                hot.listed(0, 2);
                hot.compared(0, 1, i % 20 == 0);
                hot.holdEnded();
                poll.await(0);
                pipe.available();
                pipe.read(pages.address(), 1);
                ledger.acked(epoch++);
            }
        }

        private void copy(PageBitmap dirty) throws Exception {
            memory.begin(pages.address());
            int copied = 0;
            for (int from = dirty.nextSet(0); from < dirty.limit() && copied < 512; ) {
                int end = dirty.nextClear(from);
                int count = Math.min(end - from, 512 - copied);
                memory.add(from, count);
                copied += count;
                from = dirty.nextSet(end);
            }
            memory.finish();
        }
    }
}
