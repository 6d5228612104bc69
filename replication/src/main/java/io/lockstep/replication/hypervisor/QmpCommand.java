package io.lockstep.replication.hypervisor;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;

/** A command in its final bytes, sent many times without allocating. Made by {@link QmpConnection#prepare}. One thread. */
public final class QmpCommand {
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

    /** The direct bytes from first to last, rewound. */
    ByteBuffer bytes() {
        bytes.rewind();
        return bytes;
    }
}
