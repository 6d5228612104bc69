package io.lockstep.linux;

/** Waits for a few descriptors; ppoll(2). Allocates nothing per wait. One thread at a time. */
public final class Poll {
    /** Something can be read, or the other side has closed. */
    public static final int IN = 1;
    /** Something can be written. */
    public static final int OUT = 4;
    /** The other side reports an error; always waited for. */
    public static final int ERR = 8;
    /** The other side has hung up; always waited for. */
    public static final int HUP = 16;

    private static final int POLLFD_BYTES = 8;

    private final int count;
    private final NativeBlock descriptors;
    private final NativeBlock timeout = new NativeBlock(16);

    /** @param count slots; unused ones (never set, or set to descriptor -1) are passed over */
    public Poll(int count) {
        this.count = count;
        descriptors = new NativeBlock(count * POLLFD_BYTES);
        for (int i = 0; i < count; i++) {
            set(i, -1, 0);
        }
    }

    /** What slot waits for from now on. */
    public void set(int slot, int fd, int events) {
        descriptors.buffer().putInt(slot * POLLFD_BYTES, fd).putInt(slot * POLLFD_BYTES + 4, events & 0xFFFF);
    }

    /**
     * Waits until a slot is ready.
     *
     * @param timeoutNs nanoseconds; 0 asks only, below 0 waits for ever
     * @return slots that are ready; 0 also when a signal came
     */
    public int await(long timeoutNs) throws LinuxException {
        timeout.buffer().putLong(0, timeoutNs / 1_000_000_000L).putLong(8, timeoutNs % 1_000_000_000L);
        // SAFETY: count struct pollfd and one struct timespec lie in blocks that this object holds; no signal mask is
        // passed.
        int ready = Libc.ppoll(descriptors.address(), count, timeoutNs < 0 ? 0 : timeout.address(), 0);
        if (ready < 0) {
            int errno = Libc.errno();
            if (errno != Errno.EINTR) {
                throw new LinuxException("ppoll(" + count + " descriptors, " + timeoutNs + " ns)", errno);
            }
            for (int i = 0; i < count; i++) {
                descriptors.buffer().putShort(i * POLLFD_BYTES + 6, (short) 0);
            }
            return 0;
        }
        return ready;
    }

    /** What the last wait found for a slot, a sum of {@link #IN} and the others; 0 for nothing. */
    public int ready(int slot) {
        return descriptors.buffer().getShort(slot * POLLFD_BYTES + 6);
    }
}
