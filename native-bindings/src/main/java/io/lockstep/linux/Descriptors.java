package io.lockstep.linux;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;

/** File descriptors of this process; open(2), close(2), fcntl(2). Any thread. */
public final class Descriptors {
    private static final long SYS_DUP2 = 33; // x86-64, asm/unistd_64.h
    private static final int F_DUPFD_CLOEXEC = 1030;

    private Descriptors() {}

    /** Opens an existing file for reading, or for reading and writing; close-on-exec. */
    public static int open(Path path, boolean writable) throws LinuxException {
        return open(path.toString(), writable ? Libc.O_RDWR : Libc.O_RDONLY, 0);
    }

    /** Opens a file with open(2)'s flags (close-on-exec is added) and, for a new one, its mode. */
    static int open(String path, int flags, int mode) throws LinuxException {
        // SAFETY: JNA passes the path as a NUL-terminated copy that outlives the call; no other memory is touched.
        int fd = Libc.open(path, flags | Libc.O_CLOEXEC, mode);
        if (fd < 0) {
            throw new LinuxException("open(" + path + ", 0x" + Integer.toHexString(flags) + ")", Libc.errno());
        }
        return fd;
    }

    /** Another descriptor for the same open file, close-on-exec. */
    public static int duplicate(int fd) throws LinuxException {
        // SAFETY: no memory is passed.
        int copy = Libc.fcntl(fd, F_DUPFD_CLOEXEC, 0);
        if (copy < 0) {
            throw new LinuxException("fcntl(" + fd + ", F_DUPFD_CLOEXEC)", Libc.errno());
        }
        return copy;
    }

    /** Makes a number stand for another descriptor's open file, over an exec too; what it stood for before is closed. */
    public static void replace(int number, int fd) throws LinuxException {
        // SAFETY: no memory is passed.
        if (Libc.syscall(SYS_DUP2, fd, number, 0, 0, 0, 0) < 0) {
            throw new LinuxException("dup2(" + fd + ", " + number + ")", Libc.errno());
        }
    }

    /** Closes it. Linux frees the number even when it reports an error, so errors mean nothing here and are not reported. */
    public static void close(int fd) {
        // SAFETY: no memory is passed; the caller owns the descriptor and forgets it.
        Libc.close(fd);
    }

    /** What a descriptor of any process is, e.g. {@code pipe:[4711]}, {@code anon_inode:[userfaultfd]}; empty if it is not open. */
    public static String target(long pid, int fd) throws IOException {
        try {
            return Files.readSymbolicLink(Path.of("/proc/" + pid + "/fd/" + fd)).toString();
        } catch (NoSuchFileException e) {
            return "";
        }
    }

    /** What a descriptor of this process is. */
    public static String target(int fd) throws IOException {
        return target(ProcessHandle.current().pid(), fd);
    }
}
