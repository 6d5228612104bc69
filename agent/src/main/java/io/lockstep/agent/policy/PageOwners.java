package io.lockstep.agent.policy;

import io.lockstep.linux.ProcMaps;
import io.lockstep.replication.hypervisor.QemuProcess;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Supplier;

/**
 * Which QEMU has a page of physical memory mapped: {@code /proc/PID/pagemap}, of which the kernel shows page frame numbers to CAP_SYS_ADMIN alone
 * (Documentation/admin-guide/mm/pagemap.rst). Reads 2 MiB for each GiB of a VM's memory: some milliseconds. One thread.
 */
class PageOwners {
    /** No QEMU has it. */
    static final Owner NOBODY = new Owner(0, "");

    private static final int ENTRY_BYTES = 8;
    private static final int ENTRIES = 64 << 10;
    private static final long PRESENT = 1L << 63;
    private static final long FRAME = (1L << 55) - 1;

    private final Supplier<List<QemuProcess>> qemus;
    private final ByteBuffer buffer =
            ByteBuffer.allocateDirect(ENTRIES * ENTRY_BYTES).order(ByteOrder.nativeOrder());

    /**
     * Whose it is.
     *
     * @param pid 0 if that cannot be found out
     * @param name the VM's, or why not
     */
    record Owner(long pid, String name) {}

    /** @param qemus those of this host */
    PageOwners(Supplier<List<QemuProcess>> qemus) {
        this.qemus = qemus;
    }

    /** @param frame page frame number: the physical address without its lowest 12 bits */
    Owner of(long frame) {
        for (QemuProcess qemu : qemus.get()) {
            try {
                Boolean has = has(qemu.pid(), frame);
                if (has == null) {
                    return new Owner(
                            0,
                            "whose it is cannot be told: the kernel hides page frame numbers. Run the agent as root");
                }
                if (has) {
                    return new Owner(qemu.pid(), qemu.label());
                }
            } catch (IOException e) {
                // A process that has ended has no page; of another nothing is known, and a VM must not be harmed.
                if (ProcessHandle.of(qemu.pid()).isPresent()) {
                    return new Owner(0, "whose it is cannot be told: " + e.getMessage());
                }
            }
        }
        return NOBODY;
    }

    /** Whether a process has it mapped; null if the kernel does not tell. */
    private @org.jspecify.annotations.Nullable Boolean has(long pid, long frame) throws IOException {
        boolean shown = false;
        boolean present = false;
        int pageBytes = 1 << 12;
        try (FileChannel pagemap = FileChannel.open(Path.of("/proc", Long.toString(pid), "pagemap"))) {
            for (ProcMaps.Mapping mapping : ProcMaps.of(pid)) {
                long at = Long.divideUnsigned(mapping.start(), pageBytes);
                long end = at + mapping.length() / pageBytes;
                while (at < end) {
                    buffer.clear().limit((int) Math.min(ENTRIES, end - at) * ENTRY_BYTES);
                    if (pagemap.read(buffer, at * ENTRY_BYTES) <= 0) {
                        break; // vsyscall, above what pagemap has
                    }
                    buffer.flip();
                    at += buffer.remaining() / ENTRY_BYTES;
                    while (buffer.remaining() >= ENTRY_BYTES) {
                        long entry = buffer.getLong();
                        if ((entry & PRESENT) != 0) {
                            present = true;
                            shown |= (entry & FRAME) != 0;
                            if ((entry & FRAME) == frame) {
                                return true;
                            }
                        }
                    }
                }
            }
        }
        return (present && !shown) ? null : Boolean.FALSE;
    }
}
