package io.lockstep.linux;

/** Keeps this process's memory from being swapped out; mlockall(2). Any thread. */
public final class Mlock {
    private static final int MCL_CURRENT = 1;
    private static final int MCL_FUTURE = 2;
    private static final int MCL_ONFAULT = 4;

    private Mlock() {}

    /**
     * Locks every page that is in memory now or comes to be, and faults none in by itself.
     *
     * @throws LinuxException EPERM or ENOMEM if RLIMIT_MEMLOCK forbids it
     */
    public static void lockAll() throws LinuxException {
        // SAFETY: no memory is passed.
        if (Libc.mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) != 0) {
            throw new LinuxException("mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT)", Libc.errno());
        }
    }

    /** Ends the locking. */
    public static void unlockAll() throws LinuxException {
        // SAFETY: no memory is passed.
        if (Libc.munlockall() != 0) {
            throw new LinuxException("munlockall()", Libc.errno());
        }
    }
}
