package io.lockstep.linux;

/** The kernel's error numbers that Lockstep tells apart; {@code include/uapi/asm-generic/errno-base.h} and {@code errno.h}. */
public final class Errno {
    public static final int EPERM = 1;
    public static final int ENOENT = 2;
    public static final int ESRCH = 3;
    public static final int EINTR = 4;
    public static final int EIO = 5;
    public static final int ENXIO = 6;
    public static final int EBADF = 9;
    public static final int EAGAIN = 11;
    public static final int ENOMEM = 12;
    public static final int EACCES = 13;
    public static final int EFAULT = 14;
    public static final int EBUSY = 16;
    public static final int EEXIST = 17;
    public static final int ENODEV = 19;
    public static final int EINVAL = 22;
    public static final int ENOTTY = 25;
    public static final int ENOSPC = 28;
    public static final int EDQUOT = 122;
    public static final int EPIPE = 32;
    public static final int ENOSYS = 38;
    public static final int EOPNOTSUPP = 95;
    public static final int ECONNRESET = 104;
    public static final int ETIMEDOUT = 110;
    public static final int ECONNREFUSED = 111;

    private Errno() {}

    /** Name and number, e.g. {@code EPERM (1)}. */
    public static String name(int errno) {
        String name =
                switch (errno) {
                    case EPERM -> "EPERM";
                    case ENOENT -> "ENOENT";
                    case ESRCH -> "ESRCH";
                    case EINTR -> "EINTR";
                    case EIO -> "EIO";
                    case EBADF -> "EBADF";
                    case EAGAIN -> "EAGAIN";
                    case ENOMEM -> "ENOMEM";
                    case EACCES -> "EACCES";
                    case ENXIO -> "ENXIO";
                    case ENODEV -> "ENODEV";
                    case EFAULT -> "EFAULT";
                    case EBUSY -> "EBUSY";
                    case EEXIST -> "EEXIST";
                    case EINVAL -> "EINVAL";
                    case ENOTTY -> "ENOTTY";
                    case ENOSPC -> "ENOSPC";
                    case EDQUOT -> "EDQUOT";
                    case EPIPE -> "EPIPE";
                    case ENOSYS -> "ENOSYS";
                    case EOPNOTSUPP -> "EOPNOTSUPP";
                    case ECONNRESET -> "ECONNRESET";
                    case ETIMEDOUT -> "ETIMEDOUT";
                    case ECONNREFUSED -> "ECONNREFUSED";
                    default -> "errno";
                };
        return name + " (" + errno + ")";
    }
}
