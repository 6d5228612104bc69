package io.lockstep.linux;

import java.util.BitSet;

/** Where and how urgently threads run; sched_setaffinity(2), getpriority(2). */
public final class Scheduling {
    /** CPUs that a mask can name. */
    private static final int CPUS_MAX = 1024;

    private static final int PRIO_PROCESS = 0;

    private Scheduling() {}

    /** CPUs that the calling thread may use. */
    public static BitSet affinity() throws LinuxException {
        return affinity(0);
    }

    /**
     * CPUs that a thread may use.
     *
     * @param tid as Linux numbers threads; 0: the calling one
     * @throws LinuxException ESRCH if there is no such thread
     */
    public static BitSet affinity(int tid) throws LinuxException {
        NativeBlock mask = new NativeBlock(CPUS_MAX / 8);
        // SAFETY: the kernel writes at most the block's length.
        if (Libc.sched_getaffinity(tid, mask.length(), mask.address()) < 0) {
            throw new LinuxException("sched_getaffinity(" + tid + ")", Libc.errno());
        }
        return BitSet.valueOf(mask.buffer());
    }

    /** Restricts the calling thread, and what it starts from now on, to these CPUs. */
    public static void setAffinity(BitSet cpus) throws LinuxException {
        setAffinity(0, cpus);
    }

    /**
     * Restricts a thread, and what it starts from now on, to these CPUs.
     *
     * @param tid as Linux numbers threads; 0: the calling one
     * @throws LinuxException ESRCH if there is no such thread, EINVAL if none of the CPUs is on line and of its cpuset, EPERM if it is another user's
     */
    public static void setAffinity(int tid, BitSet cpus) throws LinuxException {
        if (cpus.length() > CPUS_MAX) {
            throw new LinuxException("sched_setaffinity(CPU " + (cpus.length() - 1) + ")", Errno.EINVAL);
        }
        NativeBlock mask = new NativeBlock(CPUS_MAX / 8);
        mask.buffer().put(0, cpus.toByteArray());
        // SAFETY: the kernel reads the block's length.
        if (Libc.sched_setaffinity(tid, mask.length(), mask.address()) != 0) {
            throw new LinuxException("sched_setaffinity(" + cpus + ")", Libc.errno());
        }
    }

    /** The calling thread's nice value, from -20, most urgent, to 19. */
    public static int nice() {
        // SAFETY: no memory is passed. In Linux 0 names the calling thread, not its process; that one exists, so this
        // does not fail.
        return Libc.getpriority(PRIO_PROCESS, 0);
    }

    /**
     * Sets the calling thread's nice value.
     *
     * @param nice -20, most urgent, to 19
     * @throws LinuxException EACCES if it may not be made more urgent
     */
    public static void setNice(int nice) throws LinuxException {
        setNice(0, nice);
    }

    /**
     * Sets the nice value of a thread, and of what it starts from now on.
     *
     * @param tid as Linux numbers threads, not their process; 0: the calling one
     * @param nice -20, most urgent, to 19
     * @throws LinuxException EACCES if it may not be made more urgent, ESRCH if there is no such thread
     */
    public static void setNice(int tid, int nice) throws LinuxException {
        // SAFETY: no memory is passed.
        if (Libc.setpriority(PRIO_PROCESS, tid, nice) != 0) {
            throw new LinuxException("setpriority(" + nice + ")", Libc.errno());
        }
    }
}
