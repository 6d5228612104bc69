package io.lockstep.linux;

import java.io.IOException;

/**
 * An anonymous pipe whose write end goes to another process; pipe(7). Both ends are close-on-exec; the read end never blocks, the
 * write end does. One thread at a time, but {@link #closeRead()}, which any thread may call once nobody else will read.
 */
public final class Pipe implements AutoCloseable {
    private static final int F_SETFL = 4;
    private static final int F_SETPIPE_SZ = 1031;
    private static final long FIONREAD = 0x541B;
    private static final long SYS_DUP3 = 292;

    private final int readFd;
    private final int writeFd;
    private final NativeBlock available = new NativeBlock(8);
    private boolean readOpen = true;
    private boolean writeOpen = true;

    /** @param capacityBytes rounded up by the kernel to a power of two pages */
    public Pipe(int capacityBytes) throws LinuxException {
        NativeBlock pair = new NativeBlock(8);
        // SAFETY: pipe2 writes two ints to the 8-byte block, which is held until they are read.
        if (Libc.pipe2(pair.address(), Libc.O_CLOEXEC) != 0) {
            throw new LinuxException("pipe2(O_CLOEXEC)", Libc.errno());
        }
        readFd = pair.buffer().getInt(0);
        writeFd = pair.buffer().getInt(4);
        try {
            control(readFd, F_SETFL, "F_SETFL", Libc.O_NONBLOCK);
            control(writeFd, F_SETPIPE_SZ, "F_SETPIPE_SZ", capacityBytes);
        } catch (LinuxException e) {
            close();
            throw e;
        }
    }

    /** The read end, for {@link Poll}. */
    public int readFd() {
        return readFd;
    }

    /** The write end, to be handed on. */
    public int writeFd() {
        return writeFd;
    }

    /** Changes the capacity, in bytes; EBUSY if more than that is in it. */
    public void setCapacity(int capacityBytes) throws LinuxException {
        control(readFd, F_SETPIPE_SZ, "F_SETPIPE_SZ", capacityBytes);
    }

    /** What {@code /proc/PID/fd} shows for both ends in every process: {@code pipe:[inode]}. */
    public String target() throws IOException {
        return Descriptors.target(readFd);
    }

    /** Bytes that wait in the pipe. */
    public int available() throws LinuxException {
        // SAFETY: FIONREAD writes one int to the 8-byte block, which this object holds.
        if (Libc.ioctl(readFd, FIONREAD, available.address()) != 0) {
            throw new LinuxException("ioctl(pipe " + readFd + ", FIONREAD)", Libc.errno());
        }
        return available.buffer().getInt(0);
    }

    /**
     * Reads what is there.
     *
     * @param address memory of this process, lengthBytes long and valid during the call
     * @return bytes read; 0 if nothing is there now; -1 if all write ends are closed and the pipe is empty
     */
    public int read(long address, int lengthBytes) throws LinuxException {
        while (true) {
            // SAFETY: the caller vouches for the address and length.
            long count = Libc.read(readFd, address, lengthBytes);
            if (count > 0) {
                return (int) count;
            }
            if (count == 0) {
                return lengthBytes == 0 ? 0 : -1;
            }
            int errno = Libc.errno();
            if (errno == Errno.EAGAIN) {
                return 0;
            }
            if (errno != Errno.EINTR) {
                throw new LinuxException("read(pipe " + readFd + ", " + lengthBytes + ")", errno);
            }
        }
    }

    /**
     * Puts {@code /dev/null} in the read end's place: whoever writes gets EPIPE, our own {@link #read} finds the end. Unlike
     * {@link #closeRead()} also while another thread reads or polls: the number never comes to mean another file.
     */
    public synchronized void breakRead() throws LinuxException {
        if (!readOpen) {
            return;
        }
        int nothing = Descriptors.open("/dev/null", 0, 0);
        try {
            // SAFETY: no memory is passed; readFd is ours and open, and the call replaces it atomically.
            if (Libc.syscall(SYS_DUP3, nothing, readFd, Libc.O_CLOEXEC, 0, 0, 0) < 0) {
                throw new LinuxException("dup3(" + nothing + ", pipe " + readFd + ")", Libc.errno());
            }
        } finally {
            Descriptors.close(nothing);
        }
    }

    /** Closes this process's write end, so that the end of the other process's shows. */
    public synchronized void closeWrite() {
        if (writeOpen) {
            writeOpen = false;
            Descriptors.close(writeFd);
        }
    }

    /** Closes the read end: whoever writes gets EPIPE. */
    public synchronized void closeRead() {
        if (readOpen) {
            readOpen = false;
            Descriptors.close(readFd);
        }
    }

    @Override
    public void close() {
        closeWrite();
        closeRead();
    }

    private static void control(int fd, int command, String name, long argument) throws LinuxException {
        // SAFETY: both commands take an integer; no memory is passed.
        if (Libc.fcntl(fd, command, argument) < 0) {
            throw new LinuxException("fcntl(pipe " + fd + ", " + name + ", " + argument + ")", Libc.errno());
        }
    }
}
