package io.lockstep.replication.disk;

/**
 * A request that an export refuses or fails; the client gets the error number, and the message where it asked for structured replies.
 * Numbers: NBD protocol, "Error values"; they are Linux's.
 */
public final class NbdException extends Exception {
    public static final int EPERM = 1;
    public static final int EIO = 5;
    public static final int ENOMEM = 12;
    public static final int EINVAL = 22;
    public static final int ENOSPC = 28;
    public static final int EOVERFLOW = 75;
    public static final int ENOTSUP = 95;
    public static final int ESHUTDOWN = 108;

    private static final long serialVersionUID = 1L;

    private final int errno;

    /**
     * What the client is told.
     *
     * @param errno one of this class's numbers; the protocol has no other
     */
    public NbdException(int errno, String message) {
        super(message);
        this.errno = known(errno);
    }

    /** As the other, with what led to it. */
    public NbdException(int errno, String message, Throwable cause) {
        super(message, cause);
        this.errno = known(errno);
    }

    /** The number for the client. */
    public int errno() {
        return errno;
    }

    /** The protocol's number that says most nearly what the kernel's says. */
    public static int known(int errno) {
        return switch (errno) {
            case EPERM, EIO, ENOMEM, EINVAL, ENOSPC, EOVERFLOW, ENOTSUP, ESHUTDOWN -> errno;
            // EACCES, EROFS
            case 13, 30 -> EPERM;
            // EFBIG, EDQUOT
            case 27, 122 -> ENOSPC;
            default -> EIO;
        };
    }
}
