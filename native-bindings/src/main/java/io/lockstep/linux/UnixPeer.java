package io.lockstep.linux;

import java.lang.reflect.Method;
import java.nio.channels.SocketChannel;

/** Who is at the other end of a unix socket of java.nio, and whether he still is; unix(7), SO_PEERCRED, and poll(2). One thread at a time. */
public final class UnixPeer {
    private static final long SYS_GETSOCKOPT = 55; // x86-64, asm/unistd_64.h
    private static final int SOL_SOCKET = 1;
    private static final int SO_PEERCRED = 17;
    private static final int UCRED_BYTES = 12; // pid, uid, gid

    private final NativeBlock credentials = new NativeBlock(UCRED_BYTES);
    private final NativeBlock length = new NativeBlock(4);
    private final Poll poll = new Poll(1);

    /** The process that connected; 0 if it is of another pid namespace. */
    public int pid(SocketChannel channel) throws LinuxException {
        return credential(channel, 0);
    }

    /** The user whose process connected, as this process's user namespace numbers him. */
    public int uid(SocketChannel channel) throws LinuxException {
        return credential(channel, 4);
    }

    private int credential(SocketChannel channel, int offset) throws LinuxException {
        length.buffer().putInt(0, UCRED_BYTES);
        // SAFETY: the kernel writes a struct ucred of 12 bytes and its length to blocks of these sizes, which this
        // object holds.
        long result = Libc.syscall(
                SYS_GETSOCKOPT, fd(channel), SOL_SOCKET, SO_PEERCRED, credentials.address(), length.address(), 0);
        if (result != 0) {
            throw new LinuxException("getsockopt(SO_PEERCRED)", Libc.errno());
        }
        return credentials.buffer().getInt(offset);
    }

    /** Whether the other side has closed, or ended both directions; one that only has nothing more to say is still there. */
    public boolean hungUp(SocketChannel channel) throws LinuxException {
        poll.set(0, fd(channel), 0);
        return poll.await(0) > 0 && (poll.ready(0) & (Poll.HUP | Poll.ERR)) != 0;
    }

    private static int fd(SocketChannel channel) {
        try {
            return (int) Descriptor.METHOD.invoke(channel);
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException("the JDK does not tell a socket's descriptor", e);
        }
    }

    /** The JDK's own method, which jvm.options open to us. */
    private static final class Descriptor {
        static final Method METHOD = method();

        private static Method method() {
            try {
                return Class.forName("sun.nio.ch.SelChImpl").getMethod("getFDVal");
            } catch (ReflectiveOperationException e) {
                throw new IllegalStateException("the JDK does not tell a socket's descriptor", e);
            }
        }
    }
}
