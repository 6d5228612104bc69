package io.lockstep.linux;

import java.nio.ByteBuffer;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * The kernel's IPMI device, which hands requests to the baseboard management controller and its answers back: {@code include/uapi/linux/ipmi.h}. For
 * one thread.
 *
 * <pre>
 * struct ipmi_req   0 *address   8 u32 its length               16 id   24 message          40 bytes
 * struct ipmi_recv  0 s32 type   8 *address   16 u32 its length  24 id   32 message         48 bytes
 * message           0 u8 function   1 u8 command   2 u16 data length   8 *data              16 bytes
 * address of the controller   0 s32 type 0x0c   4 s16 channel 0xf   6 u8 unit 0              8 bytes
 * </pre>
 */
public final class IpmiDevice implements AutoCloseable {
    /** Answers are shorter: {@code IPMI_MAX_MSG_LENGTH} is 272. */
    private static final int DATA_BYTES = 512;

    // _IOR('i', 13, struct ipmi_req) and _IOWR('i', 11, struct ipmi_recv).
    private static final long SEND_COMMAND = 0x8028_690dL;
    private static final long RECEIVE_MSG_TRUNC = 0xc030_690bL;

    private static final int CONTROLLER_ADDRESS = 0x0c;
    private static final int CONTROLLER_CHANNEL = 0xf;
    private static final int ADDRESS_BYTES = 8;
    private static final int ADDRESS_BYTES_MAX = 40;
    private static final int RESPONSE = 1;

    /** Answers that may lie there for requests whose time had run out. */
    private static final int STALE_MAX = 64;

    private final Path path;
    private final int fd;
    private final NativeBlock address = new NativeBlock(ADDRESS_BYTES_MAX);
    private final NativeBlock data = new NativeBlock(DATA_BYTES);
    private final NativeBlock request = new NativeBlock(40);
    private final NativeBlock answer = new NativeBlock(48);
    private final Poll poll = new Poll(1);
    private long id;

    /**
     * Opens it.
     *
     * @param path {@code /dev/ipmi0}
     */
    public IpmiDevice(Path path) throws LinuxException {
        this.path = path;
        fd = Descriptors.open(path.toString(), Libc.O_RDWR | Libc.O_NONBLOCK, 0);
        poll.set(0, fd, Poll.IN);
    }

    /**
     * Sends a request and waits for its answer.
     *
     * @param function network function of the request, even, 0 to 62
     * @param bytes of the request, at most 255
     * @param timeoutNs longest wait, nanoseconds
     * @return the answer, whose first byte is the completion code
     * @throws LinuxException with ETIMEDOUT if none came in time
     */
    public byte[] command(int function, int command, byte[] bytes, long timeoutNs) throws LinuxException {
        if (bytes.length > 255) {
            throw new IllegalArgumentException(bytes.length + " bytes > 255");
        }
        long deadlineNs = System.nanoTime() + timeoutNs;
        id++;
        data.buffer().put(0, bytes);
        address.buffer()
                .putInt(0, CONTROLLER_ADDRESS)
                .putShort(4, (short) CONTROLLER_CHANNEL)
                .put(6, (byte) 0);
        request.buffer()
                .putLong(0, address.address())
                .putInt(8, ADDRESS_BYTES)
                .putLong(16, id)
                .put(24, (byte) function)
                .put(25, (byte) command)
                .putShort(26, (short) bytes.length)
                .putLong(32, data.address());
        // SAFETY: a struct ipmi_req whose pointers lead to blocks of this object, as long as it says.
        if (Libc.ioctl(fd, SEND_COMMAND, request.address()) < 0) {
            throw new LinuxException("ioctl(" + path + ", IPMICTL_SEND_COMMAND)", Libc.errno());
        }
        for (int stale = 0; stale < STALE_MAX; stale++) {
            long leftNs = deadlineNs - System.nanoTime();
            if (leftNs <= 0 || poll.await(leftNs) == 0) {
                break;
            }
            byte[] answered = receive();
            if (answered != null) {
                return answered;
            }
        }
        throw new LinuxException(
                "answer of " + path + " to function " + function + " command 0x" + Integer.toHexString(command),
                Errno.ETIMEDOUT);
    }

    /** Receives one message; null if it is not the answer to the last request. */
    private byte @Nullable [] receive() throws LinuxException {
        ByteBuffer in = answer.buffer();
        in.putLong(8, address.address())
                .putInt(16, ADDRESS_BYTES_MAX)
                .putShort(34, (short) DATA_BYTES)
                .putLong(40, data.address());
        // SAFETY: a struct ipmi_recv whose pointers lead to blocks of this object, as long as it says.
        if (Libc.ioctl(fd, RECEIVE_MSG_TRUNC, answer.address()) < 0) {
            int errno = Libc.errno();
            if (errno == Errno.EAGAIN || errno == Errno.EINTR) {
                return null;
            }
            throw new LinuxException("ioctl(" + path + ", IPMICTL_RECEIVE_MSG_TRUNC)", errno);
        }
        int length = Math.min(in.getShort(34) & 0xffff, DATA_BYTES);
        if (in.getInt(0) != RESPONSE || in.getLong(24) != id || length == 0) {
            return null;
        }
        byte[] bytes = new byte[length];
        data.buffer().get(0, bytes);
        return bytes;
    }

    @Override
    public void close() {
        Descriptors.close(fd);
    }
}
