package io.lockstep.replication.memory;

import io.lockstep.linux.LinuxException;
import io.lockstep.linux.SoftDirty;
import java.util.List;

/**
 * Soft-dirty bits: for kernels before 6.7. Listing and arming are two steps and concern the whole process, so scans must happen at a
 * stop, and if the VM has run on before {@link #scanAndArm} returned, what it then wrote may be lost: everything must be copied again.
 * Costs 8 bytes read per page and scan, and after each scan a write fault per page written.
 *
 * <p>Between two agents the bits go on collecting; but what a scan had listed and cleared is known to the dead agent's ledger only.
 */
public final class SoftDirtyTracker implements DirtyTracker {
    /** Its name in configuration and reports. */
    public static final String NAME = "soft-dirty";

    private final List<MemoryRegion> regions;
    private final SoftDirty softDirty;
    private boolean open = true;

    /** Opens the process's files; clears nothing until the first {@link #scanAndArm}. */
    public SoftDirtyTracker(long pid, List<MemoryRegion> regions) throws LinuxException {
        this.regions = List.copyOf(regions);
        this.softDirty = new SoftDirty(pid);
    }

    @Override
    public String name() {
        return NAME;
    }

    @Override
    public void scanAndArm(DirtyRanges into) throws LinuxException {
        peek(into);
        softDirty.clear();
    }

    @Override
    public void peek(DirtyRanges into) throws LinuxException {
        for (int i = 0, count = regions.size(); i < count; i++) {
            MemoryRegion region = regions.get(i);
            softDirty.scan(region.hostAddress(), region.hostEnd(), into::add);
        }
    }

    @Override
    public boolean armsAtomically() {
        return false;
    }

    @Override
    public boolean survivesRestart() {
        return true;
    }

    /** The bits are of no meaning to anybody else; nothing has to be undone. */
    @Override
    public void detach() {
        close();
    }

    @Override
    public void close() {
        if (open) {
            open = false;
            softDirty.close();
        }
    }
}
