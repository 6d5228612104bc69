package io.lockstep.linux;

import java.nio.file.Path;

/** Another network namespace; network_namespaces(7), setns(2). */
public final class NetworkNamespace {
    private static final long SYS_SETNS = 308;
    private static final long CLONE_NEWNET = 0x40000000L;

    private NetworkNamespace() {}

    /**
     * Moves the calling thread, and it alone, into a namespace: sockets that it makes from then on belong to that. For a thread that does nothing
     * else, because there is no way back.
     *
     * @param file that stands for the namespace, e.g. {@code /run/netns/NAME}
     */
    public static void enter(Path file) throws LinuxException {
        int fd = Descriptors.open(file, false);
        try {
            // SAFETY: no memory is passed.
            if (Libc.syscall(SYS_SETNS, fd, CLONE_NEWNET, 0, 0, 0, 0) != 0) {
                throw new LinuxException("setns(" + file + ")", Libc.errno());
            }
        } finally {
            Descriptors.close(fd);
        }
    }
}
