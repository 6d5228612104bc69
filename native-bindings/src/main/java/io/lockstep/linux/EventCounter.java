package io.lockstep.linux;

/**
 * Wakes a thread that waits in {@link Poll}; eventfd(2). {@link #signal} from any thread, allocating nothing; {@link #drain} from the one
 * that waits.
 */
public final class EventCounter implements AutoCloseable {
    private static final long SYS_EVENTFD2 = 290;
    private static final int COUNTER_BYTES = 8;

    private final int fd;
    private final NativeBlock one = new NativeBlock(COUNTER_BYTES);
    private final NativeBlock count = new NativeBlock(COUNTER_BYTES);
    private boolean open = true;

    /** A counter at zero; close-on-exec, never blocking. */
    public EventCounter() throws LinuxException {
        // SAFETY: no memory is passed.
        long made = Libc.syscall(SYS_EVENTFD2, 0, Libc.O_CLOEXEC | Libc.O_NONBLOCK, 0, 0, 0, 0);
        if (made < 0) {
            throw new LinuxException("eventfd2", Libc.errno());
        }
        fd = (int) made;
        one.buffer().putLong(0, 1);
    }

    /** For {@link Poll#IN}. */
    public int fd() {
        return fd;
    }

    /** Makes it readable; does nothing once it is closed. */
    public synchronized void signal() {
        if (open) {
            // SAFETY: write reads the 8 bytes of a block that this object holds. A full counter is as good as a signal.
            Libc.write(fd, one.address(), COUNTER_BYTES);
        }
    }

    /** Takes the signals that came. */
    public void drain() {
        // SAFETY: read writes the 8 bytes of a block that this object holds. A counter at zero is nothing to take.
        Libc.read(fd, count.address(), COUNTER_BYTES);
    }

    @Override
    public synchronized void close() {
        if (open) {
            open = false;
            Descriptors.close(fd);
        }
    }
}
