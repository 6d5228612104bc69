package io.lockstep.linux;

import java.nio.charset.StandardCharsets;

/** Short messages over unix datagram sockets, as sd_notify(3) uses them; unix(7). One thread at a time. */
public final class UnixDatagram implements AutoCloseable {
    /** Longest message received; longer ones are cut. */
    public static final int MESSAGE_BYTES_MAX = 4096;

    private static final int AF_UNIX = 1;
    private static final int SOCK_DGRAM = 2;
    private static final int SOCK_CLOEXEC = 0x80000;
    private static final int MSG_DONTWAIT = 0x40;
    private static final int MSG_NOSIGNAL = 0x4000;

    private final int fd;
    private final NativeBlock message = new NativeBlock(MESSAGE_BYTES_MAX);

    private UnixDatagram(int fd) {
        this.fd = fd;
    }

    /** A socket that only sends. */
    public static UnixDatagram unbound() throws LinuxException {
        // SAFETY: no memory is passed.
        int fd = Libc.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd < 0) {
            throw new LinuxException("socket(AF_UNIX, SOCK_DGRAM)", Libc.errno());
        }
        return new UnixDatagram(fd);
    }

    /** @param name a path where no file is, or {@code @} and an abstract name */
    public static UnixDatagram bound(String name) throws LinuxException {
        SocketAddress address = new SocketAddress(name);
        UnixDatagram socket = unbound();
        // SAFETY: the address block is longer than the length passed and reachable until after the call.
        if (Libc.bind(socket.fd, address.address(), address.length()) != 0) {
            int errno = Libc.errno();
            socket.close();
            throw new LinuxException("bind(" + name + ")", errno);
        }
        return socket;
    }

    /** The descriptor, for {@link Poll}. */
    public int fd() {
        return fd;
    }

    /** Sends without waiting; EAGAIN if the receiver's queue is full. */
    public void send(String name, String text) throws LinuxException {
        SocketAddress to = new SocketAddress(name);
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        if (bytes.length > MESSAGE_BYTES_MAX) {
            throw new LinuxException("message of " + bytes.length + " bytes > " + MESSAGE_BYTES_MAX, Errno.EINVAL);
        }
        message.buffer().put(0, bytes);
        // SAFETY: the message block holds at least bytes.length bytes, the address block to.length(); both stay
        // reachable.
        long sent = Libc.sendto(
                fd, message.address(), bytes.length, MSG_NOSIGNAL | MSG_DONTWAIT, to.address(), to.length());
        if (sent < 0) {
            throw new LinuxException("sendto(" + name + ", " + bytes.length + " bytes)", Libc.errno());
        }
    }

    /** The next message; empty if none is there now. */
    public String receive() throws LinuxException {
        // SAFETY: the message block is MESSAGE_BYTES_MAX long and held by this object.
        long count = Libc.recv(fd, message.address(), MESSAGE_BYTES_MAX, MSG_DONTWAIT);
        if (count < 0) {
            int errno = Libc.errno();
            if (errno == Errno.EAGAIN || errno == Errno.EINTR) {
                return "";
            }
            throw new LinuxException("recv(datagram)", errno);
        }
        byte[] bytes = new byte[(int) count];
        message.buffer().get(0, bytes);
        return new String(bytes, StandardCharsets.UTF_8);
    }

    @Override
    public void close() {
        Descriptors.close(fd);
    }
}
