package io.lockstep.replication.memory;

import io.lockstep.linux.ProcessIdentity;
import io.lockstep.replication.RamBlock;
import java.nio.file.Path;
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
            try (DirtyTracker tracker = opened.tracker()) {
                for (long epoch = 0; ; epoch++) {
                    ledger.beginScan(epoch);
                    if (epoch % 3 == 2) {
                        ledger.carryPending();
                    }
                    tracker.scanAndArm(ledger.sink());
                    ledger.endScan(epoch);
                }
            }
        }
    }

    static List<MemoryRegion> regions(long address, long lengthBytes) {
        return List.of(new MemoryRegion(new RamBlock(0, "pc.ram", lengthBytes, 4096, true), address));
    }

    static DirtyLedger open(Path path, long pid, List<MemoryRegion> regions) throws Exception {
        LedgerIdentity identity = new LedgerIdentity("victim", ProcessIdentity.of(pid), regions);
        return DirtyLedger.open(path, identity, new PageIndex(regions), DirtyLedger.SLOTS_DEFAULT, ENTRIES);
    }
}
