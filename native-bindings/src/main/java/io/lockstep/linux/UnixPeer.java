package io.lockstep.linux;

import java.lang.reflect.Method;
import java.nio.channels.SocketChannel;

/** Who is at the other end of a unix socket of java.nio, and whether he still is; unix(7), SO_PEERCRED, and poll(2). One thread at a time. */
public final class UnixPeer {
    private final Poll poll = new Poll(1);

    /** The process that connected; 0 if it is of another pid namespace. */
    public int pid(SocketChannel channel) throws LinuxException {
        return SocketPeer.of(fd(channel)).pid();
    }

    /** The user whose process connected, as this process's user namespace numbers him. */
    public int uid(SocketChannel channel) throws LinuxException {
        return SocketPeer.of(fd(channel)).uid();
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
