package io.lockstep.linux;

import java.nio.LongBuffer;

/**
 * Soft-dirty bits of another process's pages; {@code Documentation/admin-guide/mm/soft-dirty.rst}. Reading and clearing are two steps:
 * a write in between is lost. One thread at a time.
 */
public final class SoftDirty implements AutoCloseable {
    /** Takes ranges of pages. */
    @FunctionalInterface
    public interface Ranges {
        /** Addresses in the process, end exclusive. */
        void add(long start, long end);
    }

    private static final long PAGE_BYTES = 4096;
    private static final long BIT_SOFT_DIRTY = 1L << 55;
    /** One read of pagemap: 64 KiB, 8192 pages, 32 MiB of the process. */
    private static final int CHUNK_PAGES = 8192;

    private final long pid;
    private final int pagemap;
    private final int clearRefs;
    private final NativeBlock entries = new NativeBlock(CHUNK_PAGES * 8);
    private final LongBuffer entryView = entries.buffer().asLongBuffer();
    private final NativeBlock command = new NativeBlock(1);

    /** @param pid the process; needs the rights of ptrace(2) over it */
    public SoftDirty(long pid) throws LinuxException {
        this.pid = pid;
        pagemap = Descriptors.open("/proc/" + pid + "/pagemap", Libc.O_RDONLY, 0);
        int fd = -1;
        try {
            fd = Descriptors.open("/proc/" + pid + "/clear_refs", 1, 0);
        } finally {
            if (fd < 0) {
                Descriptors.close(pagemap);
            }
        }
        clearRefs = fd;
        command.buffer().put(0, (byte) '4');
    }

    /** Clears the bits of all the process's pages. Without CONFIG_MEM_SOFT_DIRTY newer kernels fail, older ones do nothing. */
    public void clear() throws LinuxException {
        // SAFETY: one byte of a block that this object holds.
        if (Libc.write(clearRefs, command.address(), 1) != 1) {
            throw new LinuxException("write(/proc/" + pid + "/clear_refs, 4)", Libc.errno());
        }
    }

    /** Lists the ranges whose bit is set; a page that was never populated has none until its first write. */
    public void scan(long start, long end, Ranges into) throws LinuxException {
        long rangeStart = 0;
        boolean open = false;
        for (long at = start; at < end; ) {
            int pages = (int) Math.min(CHUNK_PAGES, (end - at) / PAGE_BYTES);
            readEntries(at, pages);
            for (int i = 0; i < pages; i++) {
                boolean dirty = (entryView.get(i) & BIT_SOFT_DIRTY) != 0;
                if (dirty != open) {
                    long address = at + i * PAGE_BYTES;
                    if (open) {
                        into.add(rangeStart, address);
                    }
                    rangeStart = address;
                    open = dirty;
                }
            }
            at += pages * PAGE_BYTES;
        }
        if (open) {
            into.add(rangeStart, end);
        }
    }

    @Override
    public void close() {
        Descriptors.close(pagemap);
        Descriptors.close(clearRefs);
    }

    private void readEntries(long address, int pages) throws LinuxException {
        long done = 0;
        while (done < pages * 8L) {
            // SAFETY: at most CHUNK_PAGES entries of 8 bytes into the block of that length, which this object holds.
            long count =
                    Libc.pread(pagemap, entries.address() + done, pages * 8L - done, address / PAGE_BYTES * 8 + done);
            if (count <= 0) {
                int errno = count == 0 ? Errno.EFAULT : Libc.errno();
                if (errno == Errno.EINTR) {
                    continue;
                }
                throw new LinuxException(
                        "pread(/proc/" + pid + "/pagemap, 0x" + Long.toHexString(address) + ", " + pages + " pages)",
                        errno);
            }
            done += count;
        }
    }
}
