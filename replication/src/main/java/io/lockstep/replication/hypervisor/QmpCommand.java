package io.lockstep.replication.hypervisor;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;

/** A command in its final bytes, sent many times without allocating. Made by {@link QmpConnection#prepare}. One thread. */
public final class QmpCommand {
    /** A brace and the end of the line. */
    private static final int END_BYTES = 2;

    private final String name;
    private final long id;
    private final ByteBuffer bytes;

    QmpCommand(String name, long id, String json) {
        this.name = name;
        this.id = id;
        byte[] text = (json + "\n").getBytes(StandardCharsets.UTF_8);
        bytes = ByteBuffer.allocateDirect(text.length).put(text).flip();
    }

    /** QEMU's name of the command. */
    public String name() {
        return name;
    }

    /** By which its reply is known. */
    long id() {
        return id;
    }

    /** The direct bytes from first to last. */
    ByteBuffer bytes() {
        return bytes.clear();
    }

    /** All but what makes it a command: its last brace, and the end of the line. */
    ByteBuffer announcement() {
        return bytes.clear().limit(bytes.capacity() - END_BYTES);
    }

    /** What follows the announcement. */
    ByteBuffer end() {
        return bytes.clear().position(bytes.capacity() - END_BYTES);
    }
}
