package io.lockstep.linux;

import java.util.concurrent.locks.LockSupport;

/**
 * One thread of another process under ptrace(2), x86-64. All calls must come from the thread that seized it: the kernel knows the tracer
 * by thread. If that thread or this process dies, the kernel lets the tracee go and it runs on.
 *
 * <p>What kind of stop the tracee is in is asked of the tracee itself, not taken from waitpid(2): when it is a child of this JVM, the
 * thread with which the JVM waits for its children may have got that notice. {@link Process} then wrongly reports the child as ended, so
 * what is to be traced by its main thread is better not started as a direct child.
 */
final class Tracee {
    /** Why it is stopped. */
    enum Stop {
        /** PTRACE_INTERRUPT or a group stop. */
        EVENT,
        /** A signal is about to be delivered; see {@link #signal()}. */
        SIGNAL,
        /** Just before a system call. */
        SYSCALL_ENTRY,
        /** Just after a system call. */
        SYSCALL_EXIT
    }

    static final int R10 = 56;
    static final int R9 = 64;
    static final int R8 = 72;
    static final int RAX = 80;
    static final int RDX = 96;
    static final int RSI = 104;
    static final int RDI = 112;
    static final int ORIG_RAX = 120;
    static final int RIP = 128;
    /** {@code struct user_regs_struct}: 27 registers of 8 bytes. */
    static final int REGISTERS_BYTES = 216;

    private static final long PTRACE_CONT = 7;
    private static final long PTRACE_GETREGS = 12;
    private static final long PTRACE_SETREGS = 13;
    private static final long PTRACE_DETACH = 17;
    private static final long PTRACE_SYSCALL = 24;
    private static final long PTRACE_GETSIGINFO = 0x4202;
    private static final long PTRACE_SEIZE = 0x4206;
    private static final long PTRACE_INTERRUPT = 0x4207;
    private static final long PTRACE_GET_SYSCALL_INFO = 0x420e;
    private static final long PTRACE_O_TRACESYSGOOD = 1;
    private static final int PTRACE_EVENT_STOP = 128;
    private static final int WNOHANG = 1;
    private static final int WALL = 0x40000000;
    private static final int SYSCALL_INFO_BYTES = 88;
    private static final int SIGINFO_BYTES = 128;
    private static final long POLL_NS = 20_000;

    private final long tid;
    private final Thread tracer = Thread.currentThread();
    private final NativeBlock status = new NativeBlock(8);
    private final NativeBlock syscallInfo = new NativeBlock(SYSCALL_INFO_BYTES);
    private final NativeBlock signalInfo = new NativeBlock(SIGINFO_BYTES);
    private boolean attached;
    private boolean stopped;

    private Tracee(long tid) {
        this.tid = tid;
    }

    /** Attaches to a thread, which runs on for now. EPERM: no right to, or somebody else traces it. */
    static Tracee seize(long tid) throws LinuxException {
        if (!System.getProperty("os.arch").equals("amd64")) {
            throw new LinuxException(
                    "ptrace on " + System.getProperty("os.arch") + ", which is not amd64", Errno.ENOSYS);
        }
        Tracee tracee = new Tracee(tid);
        // SAFETY: SEIZE takes its options as an integer; no memory is passed.
        tracee.request(PTRACE_SEIZE, "PTRACE_SEIZE", 0, PTRACE_O_TRACESYSGOOD);
        tracee.attached = true;
        return tracee;
    }

    boolean attached() {
        return attached;
    }

    boolean stopped() {
        return stopped;
    }

    /** Asks it to stop; {@link #await} tells when it did. */
    void interrupt() throws LinuxException {
        // SAFETY: no memory is passed.
        request(PTRACE_INTERRUPT, "PTRACE_INTERRUPT", 0, 0);
    }

    /**
     * Waits until it is stopped.
     *
     * @throws LinuxException ESRCH if it ended, ETIMEDOUT if it did not stop in time
     */
    Stop await(long deadlineNs) throws LinuxException {
        while (true) {
            checkThread();
            // SAFETY: waitpid writes one int to the 8-byte block, which this object holds.
            int got = Libc.waitpid((int) tid, status.address(), WNOHANG | WALL);
            int word = status.buffer().getInt(0);
            if (got == tid && (word & 0xFF) != 0x7F) {
                attached = false;
                throw new LinuxException("waitpid(" + tid + "): traced thread ended, status " + word, Errno.ESRCH);
            }
            // SAFETY: the kernel writes at most the length passed, which is the block's.
            long size = Libc.ptrace(PTRACE_GET_SYSCALL_INFO, tid, SYSCALL_INFO_BYTES, syscallInfo.address());
            if (size > 0) {
                stopped = true;
                return kind();
            }
            if (System.nanoTime() - deadlineNs > 0) {
                throw new LinuxException("ptrace: thread " + tid + " did not stop", Errno.ETIMEDOUT);
            }
            LockSupport.parkNanos(POLL_NS);
        }
    }

    private Stop kind() throws LinuxException {
        return switch (syscallInfo.buffer().get(0)) {
            case 1 -> Stop.SYSCALL_ENTRY;
            case 2 -> Stop.SYSCALL_EXIT;
            default -> {
                // SAFETY: siginfo_t is 128 bytes, the block's length.
                request(PTRACE_GETSIGINFO, "PTRACE_GETSIGINFO", 0, signalInfo.address());
                yield signalInfo.buffer().getInt(8) >> 8 == PTRACE_EVENT_STOP ? Stop.EVENT : Stop.SIGNAL;
            }
        };
    }

    /** At {@link Stop#SIGNAL}: the signal. */
    int signal() {
        return signalInfo.buffer().getInt(0);
    }

    /** At {@link Stop#SYSCALL_ENTRY}: the system call's number. */
    long syscallNumber() {
        return syscallInfo.buffer().getLong(24);
    }

    /** At {@link Stop#SYSCALL_ENTRY}: an argument, 0 to 5. */
    long syscallArgument(int index) {
        return syscallInfo.buffer().getLong(32 + 8 * index);
    }

    /** Reads the registers; while stopped. */
    void readRegisters(NativeBlock registers) throws LinuxException {
        // SAFETY: the kernel writes REGISTERS_BYTES, the length of every block that is passed here.
        request(PTRACE_GETREGS, "PTRACE_GETREGS", 0, registers.address());
    }

    /** Sets the registers; while stopped. */
    void writeRegisters(NativeBlock registers) throws LinuxException {
        // SAFETY: the kernel reads REGISTERS_BYTES, the length of every block that is passed here.
        request(PTRACE_SETREGS, "PTRACE_SETREGS", 0, registers.address());
    }

    /** Lets it run up to the next beginning or end of a system call; signal 0 delivers none. */
    void runToSyscall(int signal) throws LinuxException {
        // SAFETY: no memory is passed.
        request(PTRACE_SYSCALL, "PTRACE_SYSCALL", 0, signal);
        stopped = false;
    }

    /** Lets it run; signal 0 delivers none. */
    void run(int signal) throws LinuxException {
        // SAFETY: no memory is passed.
        request(PTRACE_CONT, "PTRACE_CONT", 0, signal);
        stopped = false;
    }

    /** Lets it go from a stop; signal 0 delivers none. */
    void detach(int signal) throws LinuxException {
        // SAFETY: no memory is passed.
        request(PTRACE_DETACH, "PTRACE_DETACH", 0, signal);
        attached = false;
        stopped = false;
    }

    private void request(long request, String name, long address, long data) throws LinuxException {
        checkThread();
        // SAFETY: the callers say what address and data are.
        if (Libc.ptrace(request, tid, address, data) != 0) {
            throw new LinuxException("ptrace(" + name + ", " + tid + ")", Libc.errno());
        }
    }

    private void checkThread() {
        if (Thread.currentThread() != tracer) {
            throw new IllegalStateException(
                    "thread " + Thread.currentThread().getName() + " is not the tracer " + tracer.getName());
        }
    }
}
