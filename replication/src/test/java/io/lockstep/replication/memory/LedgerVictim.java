package io.lockstep.replication.memory;

import io.lockstep.linux.ProcessIdentity;
import io.lockstep.replication.RamBlock;
import java.nio.file.Path;
import java.util.BitSet;
import java.util.List;

/** What an agent does with tracker and ledger, without end, in a JVM of its own that is to be killed. */
final class LedgerVictim {
    private static final int ENTRIES = 64;

    private LedgerVictim() {}

    /** Scans until it is killed; the arguments are the ledger's path, the pid, and the address and length of the one region. */
    public static void main(String[] arguments) throws Exception {
        long pid = Long.parseLong(arguments[1]);
        List<MemoryRegion> regions = regions(Long.parseLong(arguments[2]), Long.parseLong(arguments[3]));
        try (DirtyLedger ledger = open(Path.of(arguments[0]), pid, regions)) {
            TrackerFactory.Opened opened = TrackerFactory.open(
                    pid, regions, ledger.scanVector(), ledger.recovered(), UserfaultTracker.NAME, 1);
            System.out.println("adopted " + (ledger.recovered() && opened.adopted()));
            HotPages hot = hot(new PageIndex(regions));
            try (DirtyTracker tracker = opened.tracker()) {
                for (long epoch = 0; ; epoch++) {
                    ledger.beginScan(epoch);
                    if (epoch % 3 == 2) {
                        ledger.carryPending();
                    }
                    switch ((int) (epoch % 4)) {
                        case 0 -> tracker.scanAndArm(ledger.sink());
                        case 1 -> tracker.scanAndArmCold(hot, false, ledger.sink());
                        default -> tracker.scanAndArmCold(hot, true, ledger.sink());
                    }
                    ledger.endScan(epoch);
                }
            }
        }
    }

    /** Every fifth page: more ranges between them than are armed apart. */
    private static HotPages hot(PageIndex index) {
        HotPages hot = new HotPages(index, index.limit(), 0, new BitSet());
        for (int scan = 0; scan < HotPages.SCANS; scan++) {
            for (int page = 0; page < index.limit(); page += 5) {
                hot.listed(page, page + 1);
            }
            hot.holdEnded();
        }
        return hot;
    }

    static List<MemoryRegion> regions(long address, long lengthBytes) {
        return List.of(new MemoryRegion(new RamBlock(0, "pc.ram", lengthBytes, 4096, true), address));
    }

    static DirtyLedger open(Path path, long pid, List<MemoryRegion> regions) throws Exception {
        LedgerIdentity identity = new LedgerIdentity("victim", ProcessIdentity.of(pid), regions);
        return DirtyLedger.open(path, identity, new PageIndex(regions), DirtyLedger.SLOTS_DEFAULT, ENTRIES);
    }
}
