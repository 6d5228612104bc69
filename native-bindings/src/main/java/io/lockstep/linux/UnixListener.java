package io.lockstep.linux;

/** A unix stream socket that listens, for another process to accept on: handed over with {@link UnixSocket#sendDescriptor}. Any thread. */
public final class UnixListener implements AutoCloseable {
    private static final int AF_UNIX = 1;
    private static final int SOCK_STREAM = 1;
    private static final int SOCK_CLOEXEC = 0x80000;

    private final int fd;
    private boolean open = true;

    private UnixListener(int fd) {
        this.fd = fd;
    }

    /**
     * Binds and listens.
     *
     * @param name a path of at most 107 bytes at which nothing is, or {@code @} and an abstract name
     * @param backlog connections that may wait to be accepted
     */
    public static UnixListener open(String name, int backlog) throws LinuxException {
        SocketAddress address = new SocketAddress(name);
        // SAFETY: no memory is passed.
        int fd = Libc.socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0) {
            throw new LinuxException("socket(AF_UNIX, SOCK_STREAM)", Libc.errno());
        }
        // SAFETY: the address block is longer than the length passed and reachable until after the call; listen takes
        // no memory.
        if (Libc.bind(fd, address.address(), address.length()) != 0 || Libc.listen(fd, backlog) != 0) {
            int errno = Libc.errno();
            Descriptors.close(fd);
            throw new LinuxException("bind(" + name + ") or listen", errno);
        }
        return new UnixListener(fd);
    }

    /** The descriptor. */
    public int fd() {
        return fd;
    }

    /** Closes this process's descriptor; a copy that another has goes on listening. */
    @Override
    public synchronized void close() {
        if (open) {
            open = false;
            Descriptors.close(fd);
        }
    }
}
