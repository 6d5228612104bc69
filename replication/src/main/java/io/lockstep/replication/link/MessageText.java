package io.lockstep.replication.link;

import io.lockstep.replication.LockstepException;
import io.lockstep.replication.link.LinkException.Kind;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;

/** Text in messages: UTF-8, with a bound for each field that both sides check. */
final class MessageText {
    /** Names: of a VM, a RAM block, a version, a code. */
    static final int NAME_BYTES_MAX = 255;

    /** PATH_MAX of Linux. */
    static final int PATH_BYTES_MAX = 4096;

    /** Reasons and causes. */
    static final int TEXT_BYTES_MAX = 64 << 10;

    /** A command line; Linux allows a quarter of the stack's limit of 8 MiB, but all that a message carries must fit in a frame. */
    static final int COMMAND_BYTES_MAX = 1 << 20;

    private MessageText() {}

    /** Reads the bytes of a variable-length field, as the generated decoders do. */
    @FunctionalInterface
    interface Field {
        int get(byte[] target, int offset, int length);
    }

    /** Reads one field; refuses what is longer than bytesMax or is not UTF-8. */
    static String decode(String name, int bytes, int bytesMax, Field field) throws LinkException {
        if (bytes > bytesMax) {
            throw new LinkException(
                    Kind.CORRUPT, "message-field-too-long", name + " has " + bytes + " bytes > " + bytesMax);
        }
        byte[] copy = new byte[bytes];
        field.get(copy, 0, bytes);
        try {
            return StandardCharsets.UTF_8
                    .newDecoder()
                    .decode(ByteBuffer.wrap(copy))
                    .toString();
        } catch (CharacterCodingException e) {
            throw new LinkException(Kind.CORRUPT, "message-text", name + " is not UTF-8", e);
        }
    }

    /** Bytes of a field that must not be cut, such as a name. */
    static byte[] encode(String name, String value, int bytesMax) throws LockstepException {
        byte[] bytes = value.getBytes(StandardCharsets.UTF_8);
        if (bytes.length > bytesMax) {
            throw new LockstepException(
                    "message-field-too-long",
                    name + " has " + bytes.length + " bytes > " + bytesMax + " that the protocol carries. Shorten it.");
        }
        return bytes;
    }

    /** Bytes of a field that is only for people: what is too long is cut, between two characters. */
    static byte[] encodeCut(String value, int bytesMax) {
        byte[] bytes = value.getBytes(StandardCharsets.UTF_8);
        if (bytes.length <= bytesMax) {
            return bytes;
        }
        int end = bytesMax;
        // A byte 10xxxxxx continues a character, RFC 3629.
        while (end > 0 && (bytes[end] & 0xc0) == 0x80) {
            end--;
        }
        return java.util.Arrays.copyOf(bytes, end);
    }
}
