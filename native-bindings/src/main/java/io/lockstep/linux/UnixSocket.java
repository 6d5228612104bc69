package io.lockstep.linux;

import com.sun.jna.Native;
import com.sun.jna.Pointer;
import java.nio.ByteBuffer;

/**
 * A connected unix stream socket that can hand over a descriptor; unix(7), SCM_RIGHTS. Reading never blocks. One reading and one
 * writing thread.
 */
public final class UnixSocket implements AutoCloseable {
    private static final int AF_UNIX = 1;
    private static final int SOCK_STREAM = 1;
    private static final int SOCK_CLOEXEC = 0x80000;
    private static final int SOL_SOCKET = 1;
    private static final int SCM_RIGHTS = 1;
    private static final int MSG_DONTWAIT = 0x40;
    private static final int MSG_NOSIGNAL = 0x4000;
    private static final int SO_SNDBUF = 7;
    private static final int SO_SNDBUFFORCE = 32;
    private static final long SIOCOUTQ = 0x5411;
    private static final long SIOCINQ = 0x541B;
    private static final int MSGHDR_BYTES = 56;
    private static final int IOVEC_BYTES = 16;
    /** {@code CMSG_LEN(4)}: header of 16 bytes and one int. */
    private static final int CMSG_LENGTH = 20;
    /** {@code CMSG_SPACE(4)}: the same, padded to 8. */
    private static final int CMSG_SPACE = 24;

    private final String name;
    private final int fd;
    private boolean open = true;

    private UnixSocket(String name, int fd) {
        this.name = name;
        this.fd = fd;
    }

    /**
     * Connects, without waiting: a listener whose backlog is full refuses with EAGAIN.
     *
     * @param name a path of at most 107 bytes, or {@code @} and an abstract name
     */
    public static UnixSocket connect(String name) throws LinuxException {
        SocketAddress address = new SocketAddress(name);
        // SAFETY: no memory is passed.
        int fd = Libc.socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | Libc.O_NONBLOCK, 0);
        if (fd < 0) {
            throw new LinuxException("socket(AF_UNIX, SOCK_STREAM)", Libc.errno());
        }
        // SAFETY: the address block is longer than the length passed and reachable until after the call.
        if (Libc.connect(fd, address.address(), address.length()) != 0) {
            int errno = Libc.errno();
            Descriptors.close(fd);
            throw new LinuxException("connect(" + name + ")", errno);
        }
        return new UnixSocket(name, fd);
    }

    /**
     * Two sockets that are connected to each other, without a name that anybody else could use.
     *
     * @param bufferBytes what may wait to be received in each direction, as far as the process may ask for it
     */
    public static UnixSocket[] pair(int bufferBytes) throws LinuxException {
        NativeBlock pair = new NativeBlock(8);
        // SAFETY: socketpair writes two ints to the 8-byte block, which is held until they are read.
        if (Libc.socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | Libc.O_NONBLOCK, 0, pair.address()) != 0) {
            throw new LinuxException("socketpair(AF_UNIX, SOCK_STREAM)", Libc.errno());
        }
        UnixSocket[] sockets = {
            new UnixSocket("socketpair", pair.buffer().getInt(0)),
            new UnixSocket("socketpair", pair.buffer().getInt(4))
        };
        for (UnixSocket socket : sockets) {
            NativeBlock value = new NativeBlock(4);
            value.buffer().putInt(0, bufferBytes);
            // SAFETY: both calls read the int of a block that is held until after them. Less room only costs speed.
            if (Libc.setsockopt(socket.fd, SOL_SOCKET, SO_SNDBUFFORCE, value.address(), 4) != 0) {
                Libc.setsockopt(socket.fd, SOL_SOCKET, SO_SNDBUF, value.address(), 4);
            }
        }
        return sockets;
    }

    /** The descriptor, for {@link Poll}. */
    public int fd() {
        return fd;
    }

    /** Who listens at the name that this was connected to; any thread, until it is closed. */
    public SocketPeer peer() throws LinuxException {
        return SocketPeer.of(fd);
    }

    /** Sends the direct buffer from position to limit, waiting for room up to the timeout. */
    public void send(ByteBuffer data, long timeoutNs) throws LinuxException {
        long address = address(data);
        long deadlineNs = System.nanoTime() + timeoutNs;
        while (data.hasRemaining()) {
            // SAFETY: address is that of byte 0 of the caller's direct buffer, which the parameter keeps reachable.
            long count =
                    Libc.sendto(fd, address + data.position(), data.remaining(), MSG_NOSIGNAL | MSG_DONTWAIT, 0, 0);
            if (count > 0) {
                data.position(data.position() + (int) count);
            } else {
                awaitRoom(Libc.errno(), deadlineNs, "send");
            }
        }
    }

    /** Sends the direct buffer from position to limit, and with its first byte a descriptor of this process. */
    public void sendDescriptor(ByteBuffer data, int descriptor, long timeoutNs) throws LinuxException {
        NativeBlock block = new NativeBlock(MSGHDR_BYTES + IOVEC_BYTES + CMSG_SPACE);
        long vector = block.address() + MSGHDR_BYTES;
        int control = MSGHDR_BYTES + IOVEC_BYTES;
        block.buffer()
                .putLong(16, vector)
                .putLong(24, 1)
                .putLong(32, block.address() + control)
                .putLong(40, CMSG_SPACE)
                .putLong(MSGHDR_BYTES, address(data) + data.position())
                .putLong(MSGHDR_BYTES + 8, data.remaining())
                .putLong(control, CMSG_LENGTH)
                .putInt(control + 8, SOL_SOCKET)
                .putInt(control + 12, SCM_RIGHTS)
                .putInt(control + 16, descriptor);
        long deadlineNs = System.nanoTime() + timeoutNs;
        while (true) {
            // SAFETY: msghdr, iovec and cmsghdr lie in one block of their summed length; the iovec names the caller's
            // direct buffer.
            long count = Libc.sendmsg(fd, block.address(), MSG_NOSIGNAL | MSG_DONTWAIT);
            if (count > 0) {
                data.position(data.position() + (int) count);
                break;
            }
            awaitRoom(Libc.errno(), deadlineNs, "sendmsg(SCM_RIGHTS " + descriptor + ")");
        }
        send(data, Math.max(0, deadlineNs - System.nanoTime()));
    }

    /**
     * Receives into the direct buffer, from position on.
     *
     * @return bytes received; 0 if nothing is there now; -1 if the other side has closed
     */
    public int receive(ByteBuffer into) throws LinuxException {
        while (true) {
            // SAFETY: address and remaining length are those of the caller's direct buffer, which the parameter keeps
            // reachable.
            long count = Libc.recv(fd, address(into) + into.position(), into.remaining(), MSG_DONTWAIT);
            if (count > 0) {
                into.position(into.position() + (int) count);
                return (int) count;
            }
            if (count == 0) {
                return into.hasRemaining() ? -1 : 0;
            }
            int errno = Libc.errno();
            if (errno == Errno.EAGAIN) {
                return 0;
            }
            if (errno != Errno.EINTR) {
                throw new LinuxException("recv(" + name + ")", errno);
            }
        }
    }

    /**
     * Receives what is there.
     *
     * @param address of memory that the caller holds, length bytes of it
     * @return bytes received; 0 if nothing is there now; -1 if the other side has closed
     */
    public int receive(long address, int length) throws LinuxException {
        while (true) {
            // SAFETY: the caller holds length bytes at the address until this returns.
            long count = Libc.recv(fd, address, length, MSG_DONTWAIT);
            if (count >= 0) {
                return count == 0 && length > 0 ? -1 : (int) count;
            }
            int errno = Libc.errno();
            if (errno == Errno.EAGAIN) {
                return 0;
            }
            if (errno == Errno.ECONNRESET) {
                return -1;
            }
            if (errno != Errno.EINTR) {
                throw new LinuxException("recv(" + name + ")", errno);
            }
        }
    }

    /**
     * Sends as much as there is room for.
     *
     * @param address of memory that the caller holds, length bytes of it
     * @return bytes sent; 0 if there is no room now; -1 if the other side has closed
     */
    public int send(long address, int length) throws LinuxException {
        while (true) {
            // SAFETY: the caller holds length bytes at the address until this returns.
            long count = Libc.sendto(fd, address, length, MSG_NOSIGNAL | MSG_DONTWAIT, 0, 0);
            if (count >= 0) {
                return (int) count;
            }
            int errno = Libc.errno();
            if (errno == Errno.EAGAIN) {
                return 0;
            }
            if (errno == Errno.EPIPE || errno == Errno.ECONNRESET) {
                return -1;
            }
            if (errno != Errno.EINTR) {
                throw new LinuxException("send(" + name + ")", errno);
            }
        }
    }

    /** Bytes (with the kernel's overhead) that were sent and that the other side has not received yet; unix(7), SIOCOUTQ. */
    public int unreceivedBytes() throws LinuxException {
        NativeBlock value = new NativeBlock(4);
        // SAFETY: the request writes an int to a block that is held until it is read.
        if (Libc.ioctl(fd, SIOCOUTQ, value.address()) != 0) {
            throw new LinuxException("ioctl(" + name + ", SIOCOUTQ)", Libc.errno());
        }
        return value.buffer().getInt(0);
    }

    /** Bytes that the other side has sent and that were not received yet; unix(7), SIOCINQ. */
    public int waitingBytes() throws LinuxException {
        NativeBlock value = new NativeBlock(4);
        // SAFETY: the request writes an int to a block that is held until it is read.
        if (Libc.ioctl(fd, SIOCINQ, value.address()) != 0) {
            throw new LinuxException("ioctl(" + name + ", SIOCINQ)", Libc.errno());
        }
        return value.buffer().getInt(0);
    }

    /** Closes it; any thread, any number of times. */
    @Override
    public synchronized void close() {
        if (open) {
            open = false;
            Descriptors.close(fd);
        }
    }

    private void awaitRoom(int errno, long deadlineNs, String call) throws LinuxException {
        if (errno == Errno.EINTR) {
            return;
        }
        long leftNs = deadlineNs - System.nanoTime();
        if (errno != Errno.EAGAIN || leftNs <= 0) {
            throw new LinuxException(call + " to " + name, errno);
        }
        Poll poll = new Poll(1);
        poll.set(0, fd, Poll.OUT);
        poll.await(leftNs);
    }

    private static long address(ByteBuffer buffer) {
        if (!buffer.isDirect()) {
            throw new IllegalArgumentException("buffer is not direct");
        }
        // SAFETY: only the address of byte 0 is taken; the callers keep the buffer reachable while they use it.
        return Pointer.nativeValue(Native.getDirectBufferPointer(buffer));
    }
}
