package io.lockstep.linux;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;

/**
 * One system call made by another process, through ptrace(2), x86-64: a thread of it is stopped, its registers are pointed at a {@code
 * syscall} instruction, and restored afterwards. Takes the process some milliseconds once. Each call stands for itself and may come from
 * any thread.
 *
 * <p>A signal that arrives meanwhile is delivered as ever: before the call is made, the attempt is given up and made again after it.
 * When the thread is stopped inside a system call of its own, that call's own instruction is used, so that even if this process were
 * killed in between, the thread would go on behind it with a result, as after an early return, and not elsewhere.
 */
public final class RemoteSyscall {
    private static final long SYS_CLOSE = 3;
    private static final long SYS_USERFAULTFD = 323;
    private static final int ATTEMPTS_MAX = 100;
    private static final long TIMEOUT_NS = 5_000_000_000L;
    /** Kernel-internal results of an interrupted call, -516 to -512: it will be made again. */
    private static final long ERESTART_MIN = -516;

    private static final long ERESTART_MAX = -512;
    /** {@code MAX_ERRNO}: results from -4095 are errors. */
    private static final long ERROR_MIN = -4095;

    private RemoteSyscall() {}

    /**
     * A userfaultfd of the process, close-on-exec, not blocking, for user mode only: so it needs no privilege of the process's.
     *
     * @return its number in the process
     */
    public static int userfaultfd(long pid) throws IOException {
        long flags = Libc.O_CLOEXEC | Libc.O_NONBLOCK | Userfaultfd.UFFD_USER_MODE_ONLY;
        return (int) call(pid, SYS_USERFAULTFD, flags, 0, 0);
    }

    /** Closes a descriptor of the process. */
    public static void close(long pid, int fd) throws IOException {
        call(pid, SYS_CLOSE, fd, 0, 0);
    }

    /** @throws LinuxException what prevented the call, or the error that it gave in the process */
    static long call(long pid, long number, long a, long b, long c) throws IOException {
        Tracee tracee = Tracee.seize(thread(pid));
        NativeBlock saved = new NativeBlock(Tracee.REGISTERS_BYTES);
        NativeBlock registers = new NativeBlock(Tracee.REGISTERS_BYTES);
        boolean changed = false;
        try {
            long deadlineNs = System.nanoTime() + TIMEOUT_NS;
            for (int attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
                stop(tracee, deadlineNs);
                tracee.readRegisters(saved);
                prepare(pid, saved, registers, number, a, b, c);
                tracee.writeRegisters(registers);
                changed = true;
                if (runThrough(tracee, deadlineNs)) {
                    tracee.readRegisters(registers);
                    long result = registers.buffer().getLong(Tracee.RAX);
                    int signal = backToStop(tracee, deadlineNs);
                    tracee.writeRegisters(saved);
                    changed = false;
                    tracee.detach(signal);
                    if (result < 0 && result >= ERROR_MIN) {
                        throw new LinuxException(
                                "syscall " + number + "(" + a + ", " + b + ", " + c + ") in pid " + pid, (int) -result);
                    }
                    return result;
                }
                tracee.writeRegisters(saved);
                changed = false;
                tracee.run(tracee.signal());
            }
            throw new LinuxException("pid " + pid + " got signals " + ATTEMPTS_MAX + " times in a row", Errno.EAGAIN);
        } finally {
            release(tracee, saved, changed);
        }
    }

    /** Stops it where a restored register set resumes what it did, after delivering what signals are due. */
    private static void stop(Tracee tracee, long deadlineNs) throws LinuxException {
        tracee.interrupt();
        while (tracee.await(deadlineNs) != Tracee.Stop.EVENT) {
            tracee.run(tracee.signal());
        }
    }

    /** Whether the call was made; else it is stopped before it with a signal to deliver. */
    private static boolean runThrough(Tracee tracee, long deadlineNs) throws LinuxException {
        tracee.runToSyscall(0);
        while (true) {
            Tracee.Stop stop = tracee.await(deadlineNs);
            if (stop == Tracee.Stop.SYSCALL_EXIT || stop == Tracee.Stop.SIGNAL) {
                return stop == Tracee.Stop.SYSCALL_EXIT;
            }
            tracee.runToSyscall(0);
        }
    }

    /**
     * From the end of the call to a stop where the kernel looks at an interrupted call's registers again: after a syscall stop it would
     * not, and the thread would see the kernel's internal error number.
     *
     * @return the signal to deliver on release, or 0
     */
    private static int backToStop(Tracee tracee, long deadlineNs) throws LinuxException {
        tracee.interrupt();
        tracee.run(0);
        return tracee.await(deadlineNs) == Tracee.Stop.SIGNAL ? tracee.signal() : 0;
    }

    private static void prepare(long pid, NativeBlock saved, NativeBlock registers, long number, long a, long b, long c)
            throws IOException {
        registers.buffer().put(0, saved.buffer(), 0, Tracee.REGISTERS_BYTES);
        registers
                .buffer()
                .putLong(Tracee.RIP, instruction(pid, saved))
                .putLong(Tracee.RAX, number)
                // The kernel must not take our registers for those of its interrupted call.
                .putLong(Tracee.ORIG_RAX, -1)
                .putLong(Tracee.RDI, a)
                .putLong(Tracee.RSI, b)
                .putLong(Tracee.RDX, c)
                .putLong(Tracee.R10, 0)
                .putLong(Tracee.R8, 0)
                .putLong(Tracee.R9, 0);
    }

    /** Address of a syscall instruction in the process: its own, if it is stopped inside one, or any. */
    private static long instruction(long pid, NativeBlock saved) throws IOException {
        try (FileChannel memory = FileChannel.open(Path.of("/proc/" + pid + "/mem"), StandardOpenOption.READ)) {
            long result = saved.buffer().getLong(Tracee.RAX);
            long rip = saved.buffer().getLong(Tracee.RIP);
            boolean insideCall =
                    saved.buffer().getLong(Tracee.ORIG_RAX) >= 0 && result >= ERESTART_MIN && result <= ERESTART_MAX;
            if (insideCall && find(memory, rip - 2, rip) >= 0) {
                return rip - 2;
            }
            List<ProcMaps.Mapping> maps = ProcMaps.of(pid);
            for (String name : new String[] {"[vdso]", "libc", ""}) {
                for (ProcMaps.Mapping map : maps) {
                    boolean usable =
                            map.permissions().charAt(2) == 'x' && !map.path().equals("[vsyscall]");
                    if (usable && map.path().contains(name)) {
                        long found = find(memory, map.start(), map.end());
                        if (found >= 0) {
                            return found;
                        }
                    }
                }
            }
            throw new LinuxException("pid " + pid + " has no syscall instruction in its mappings", Errno.ENOENT);
        }
    }

    private static long find(FileChannel memory, long start, long end) throws IOException {
        ByteBuffer bytes = ByteBuffer.allocate((int) Math.min(end - start, 4 << 20));
        int count = memory.read(bytes, start);
        for (int i = 0; i + 1 < count; i++) {
            if (bytes.get(i) == 0x0F && bytes.get(i + 1) == 0x05) {
                return start + i;
            }
        }
        return -1;
    }

    /** Its main thread; of a child of ours another one if it has any, see {@link Tracee}. */
    private static long thread(long pid) throws IOException {
        boolean child = ProcessHandle.of(pid)
                .flatMap(ProcessHandle::parent)
                .map(parent -> parent.pid() == ProcessHandle.current().pid())
                .orElse(false);
        if (child) {
            try (DirectoryStream<Path> threads = Files.newDirectoryStream(Path.of("/proc/" + pid + "/task"))) {
                for (Path thread : threads) {
                    long tid = Long.parseLong(thread.getFileName().toString());
                    if (tid != pid) {
                        return tid;
                    }
                }
            }
        }
        return pid;
    }

    /** Leaves the process as it was, whatever went wrong before. */
    private static void release(Tracee tracee, NativeBlock saved, boolean changed) {
        if (!tracee.attached()) {
            return;
        }
        try {
            if (!tracee.stopped()) {
                tracee.interrupt();
                tracee.await(System.nanoTime() + TIMEOUT_NS);
            }
            if (changed) {
                tracee.writeRegisters(saved);
            }
            tracee.detach(0);
        } catch (LinuxException e) {
            // It has ended, and there is nothing to restore; the first failure is already on its way to the caller.
            return;
        }
    }
}
