package io.lockstep.linux;

import java.nio.charset.StandardCharsets;

/**
 * A network interface of the host whose frames a process writes; Documentation/networking/tuntap.rst, {@code TAP}. One thread at a time.
 */
public final class Tap implements AutoCloseable {
    private static final long TUNGETIFF = 0x8004_54D2L;
    private static final long TUNGETVNETHDRSZ = 0x8004_54D7L;
    /** struct ifreq: a name of 16 bytes, then a union, of which the flags are the first 16 bits. */
    private static final int IFREQ_BYTES = 40;

    private static final int NAME_BYTES = 16;
    private static final int IFF_VNET_HDR = 0x4000;

    private final int fd;
    private final String name;
    private final int headerBytes;
    private boolean open = true;

    /**
     * Takes over a descriptor of {@code /dev/net/tun} that is attached to an interface.
     *
     * @throws LinuxException EBADFD if it is attached to none; the descriptor is closed then
     */
    public Tap(int fd) throws LinuxException {
        this.fd = fd;
        boolean done = false;
        try {
            NativeBlock request = new NativeBlock(IFREQ_BYTES);
            ask("TUNGETIFF", TUNGETIFF, request);
            name = name(request);
            if ((request.buffer().getShort(NAME_BYTES) & IFF_VNET_HDR) != 0) {
                NativeBlock size = new NativeBlock(Integer.BYTES);
                ask("TUNGETVNETHDRSZ", TUNGETVNETHDRSZ, size);
                headerBytes = size.buffer().getInt(0);
            } else {
                headerBytes = 0;
            }
            done = true;
        } finally {
            if (!done) {
                close();
            }
        }
    }

    private void ask(String what, long request, NativeBlock answer) throws LinuxException {
        // SAFETY: the kernel writes a struct ifreq, or an int, to a block of that length.
        if (Libc.ioctl(fd, request, answer.address()) != 0) {
            throw new LinuxException("ioctl(tap " + fd + ", " + what + ")", Libc.errno());
        }
    }

    private static String name(NativeBlock request) {
        byte[] bytes = new byte[NAME_BYTES];
        request.buffer().get(0, bytes);
        return new String(bytes, StandardCharsets.US_ASCII).trim();
    }

    /** The interface's name. */
    public String name() {
        return name;
    }

    /** Bytes of the struct virtio_net_hdr that precedes each frame; 0 if none does. */
    public int headerBytes() {
        return headerBytes;
    }

    /**
     * Sends one frame, its header included.
     *
     * @throws LinuxException EIO if the interface is down, EINVAL if the header is none
     */
    public void write(long address, int length) throws LinuxException {
        // SAFETY: the kernel reads so many bytes of the caller's memory.
        if (Libc.write(fd, address, length) != length) {
            throw new LinuxException("write(tap " + name + ", " + length + ")", Libc.errno());
        }
    }

    @Override
    public void close() {
        if (open) {
            open = false;
            Descriptors.close(fd);
        }
    }
}
