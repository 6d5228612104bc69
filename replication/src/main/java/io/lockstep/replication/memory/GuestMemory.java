package io.lockstep.replication.memory;

import io.lockstep.linux.LinuxException;
import io.lockstep.linux.RemoteMemory;
import io.lockstep.replication.RamBlock;

/** Reads pages of a running QEMU to memory of this process. Allocates nothing per read. One thread at a time. */
public final class GuestMemory {
    private final PageIndex index;
    private final RemoteMemory memory;

    /** @param pid QEMU's process; needs the rights of ptrace(2) over it */
    public GuestMemory(long pid, PageIndex index) {
        this.index = index;
        this.memory = new RemoteMemory(pid);
    }

    /**
     * Starts a batch whose pages go to consecutive addresses.
     *
     * @param localAddress memory of this process for all the pages to come, valid until {@link #finish()}
     */
    public void begin(long localAddress) {
        // SAFETY: the caller vouches for the memory.
        memory.begin(localAddress);
    }

    /** Adds pages of one block, by flat index; may read what was added before. */
    public void add(int flat, int pageCount) throws LinuxException {
        memory.add(index.hostAddress(flat), (long) pageCount * RamBlock.PAGE_BYTES);
    }

    /** Reads all that was added. */
    public void finish() throws LinuxException {
        memory.finish();
    }

    /** Reads pages of one block to an address of this process. */
    public void read(int flat, int pageCount, long localAddress) throws LinuxException {
        // SAFETY: the caller vouches for pageCount pages at the address.
        memory.read(index.hostAddress(flat), localAddress, (long) pageCount * RamBlock.PAGE_BYTES);
    }
}
