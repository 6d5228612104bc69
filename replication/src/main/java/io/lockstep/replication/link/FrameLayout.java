package io.lockstep.replication.link;

/**
 * A frame: one message of the stream with what is needed to see that it came whole, unchanged and in its turn. All numbers are little endian.
 *
 * <pre>
 *   0        1        2        3        4        5        6        7
 *  +--------+--------+--------+--------+--------+--------+--------+--------+
 *  |  magic "LSF1" 4C 53 46 31         |  message length in bytes          |
 *  +--------+--------+--------+--------+--------+--------+--------+--------+
 *  |  sequence: from 0, one more in each frame of this direction           |
 *  +--------+--------+--------+--------+--------+--------+--------+--------+
 *  |  CRC32C                           |  reserved, 0                      |
 *  +--------+--------+--------+--------+--------+--------+--------+--------+
 *  |  message: SBE header (8 bytes) and body                              ...
 *  +--------+--------+--------+--------+--------+--------+--------+--------+
 * </pre>
 *
 * The CRC32C (Castagnoli) covers the header with its own field as 0, and the message. TLS already proves that nobody changed the bytes on their
 * way; the checksum is for what happens to them in the memory of the two hosts, the sequence for mistakes of our own.
 */
public final class FrameLayout {
    /** The bytes {@code LSF1}, read as a little-endian number. */
    public static final int MAGIC = 0x3146534C;

    public static final int MAGIC_OFFSET = 0;
    public static final int LENGTH_OFFSET = 4;
    public static final int SEQUENCE_OFFSET = 8;
    public static final int CHECKSUM_OFFSET = 16;
    public static final int RESERVED_OFFSET = 20;

    /** Bytes before the message. */
    public static final int HEADER_BYTES = 24;

    /** A message has at least its SBE header. */
    public static final int MESSAGE_BYTES_MIN = 8;

    /** The longest message: a device state of up to 512 KiB fits in one, and a batch of 256 raw pages does not need one so long. */
    public static final int MESSAGE_BYTES_MAX = 1 << 20;

    /** The longest frame. */
    public static final int FRAME_BYTES_MAX = HEADER_BYTES + MESSAGE_BYTES_MAX;

    private FrameLayout() {}
}
