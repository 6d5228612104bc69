package io.lockstep.linux;

/**
 * Who is at the other end of a connected unix socket, as the kernel wrote it down: of an accepted socket who connected, of a connected one who
 * called listen(2); unix(7), SO_PEERCRED.
 *
 * @param pid process id; 0 if it is of another pid namespace
 * @param uid user id, as this process's user namespace numbers it
 */
public record SocketPeer(int pid, int uid) {
    private static final long SYS_GETSOCKOPT = 55; // x86-64, asm/unistd_64.h
    private static final int SOL_SOCKET = 1;
    private static final int SO_PEERCRED = 17;
    private static final int UCRED_BYTES = 12; // pid, uid, gid

    /** @param fd of a connected unix socket */
    static SocketPeer of(int fd) throws LinuxException {
        NativeBlock credentials = new NativeBlock(UCRED_BYTES);
        NativeBlock length = new NativeBlock(4);
        length.buffer().putInt(0, UCRED_BYTES);
        // SAFETY: the kernel writes a struct ucred of 12 bytes and its length to blocks of these sizes, which are held
        // until they are read.
        long result =
                Libc.syscall(SYS_GETSOCKOPT, fd, SOL_SOCKET, SO_PEERCRED, credentials.address(), length.address(), 0);
        if (result != 0) {
            throw new LinuxException("getsockopt(SO_PEERCRED)", Libc.errno());
        }
        return new SocketPeer(
                credentials.buffer().getInt(0), credentials.buffer().getInt(4));
    }
}
