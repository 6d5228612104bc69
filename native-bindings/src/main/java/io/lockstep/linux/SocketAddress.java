package io.lockstep.linux;

import java.nio.charset.StandardCharsets;

/** A struct sockaddr_un; unix(7). */
final class SocketAddress {
    private static final int AF_UNIX = 1;
    private static final int PATH_BYTES_MAX = 108;

    private final NativeBlock block = new NativeBlock(2 + PATH_BYTES_MAX);
    private final int length;

    /** @param name a path, or {@code @} and an abstract name */
    SocketAddress(String name) throws LinuxException {
        byte[] path = name.getBytes(StandardCharsets.UTF_8);
        boolean isAbstract = name.startsWith("@");
        // A path needs its NUL; an abstract name has none, its length ends it.
        if (path.length == 0 || path.length > (isAbstract ? PATH_BYTES_MAX : PATH_BYTES_MAX - 1)) {
            throw new LinuxException("socket name " + name + " has " + path.length + " bytes", Errno.EINVAL);
        }
        block.buffer().putShort(0, (short) AF_UNIX).put(2, path);
        if (isAbstract) {
            block.buffer().put(2, (byte) 0);
        }
        length = 2 + path.length + (isAbstract ? 0 : 1);
    }

    long address() {
        return block.address();
    }

    int length() {
        return length;
    }
}
