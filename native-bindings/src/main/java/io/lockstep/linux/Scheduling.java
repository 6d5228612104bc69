package io.lockstep.linux;

import java.util.BitSet;

/** Where and how urgently the calling thread runs; sched_setaffinity(2), setpriority(2). */
public final class Scheduling {
    /** CPUs that a mask can name. */
    private static final int CPUS_MAX = 1024;

    private static final int PRIO_PROCESS = 0;

    private Scheduling() {}

    /** CPUs that the calling thread may use. */
    public static BitSet affinity() throws LinuxException {
        NativeBlock mask = new NativeBlock(CPUS_MAX / 8);
        // SAFETY: the kernel writes at most the block's length.
        if (Libc.sched_getaffinity(0, mask.length(), mask.address()) < 0) {
            throw new LinuxException("sched_getaffinity(" + mask.length() + ")", Libc.errno());
        }
        return BitSet.valueOf(mask.buffer());
    }

    /** Restricts the calling thread, and what it starts from now on, to these CPUs. */
    public static void setAffinity(BitSet cpus) throws LinuxException {
        if (cpus.length() > CPUS_MAX) {
            throw new LinuxException("sched_setaffinity(CPU " + (cpus.length() - 1) + ")", Errno.EINVAL);
        }
        NativeBlock mask = new NativeBlock(CPUS_MAX / 8);
        mask.buffer().put(0, cpus.toByteArray());
        // SAFETY: the kernel reads the block's length.
        if (Libc.sched_setaffinity(0, mask.length(), mask.address()) != 0) {
            throw new LinuxException("sched_setaffinity(" + cpus + ")", Libc.errno());
        }
    }

    /**
     * Sets the calling thread's nice value.
     *
     * @param nice -20, most urgent, to 19
     * @throws LinuxException EACCES if it may not be made more urgent
     */
    public static void setNice(int nice) throws LinuxException {
        // SAFETY: no memory is passed. In Linux 0 names the calling thread, not its process.
        if (Libc.setpriority(PRIO_PROCESS, 0, nice) != 0) {
            throw new LinuxException("setpriority(" + nice + ")", Libc.errno());
        }
    }
}
