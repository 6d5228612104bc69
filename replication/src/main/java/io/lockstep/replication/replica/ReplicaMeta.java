package io.lockstep.replication.replica;

import io.lockstep.replication.LockstepException;
import io.lockstep.replication.link.HelloCodec;
import io.lockstep.replication.link.SessionHello;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.zip.CRC32C;
import org.agrona.ExpandableArrayBuffer;
import org.agrona.concurrent.UnsafeBuffer;

/**
 * What of a replica outlives the host's boot, but for {@link PromotedRecord}. The file is replaced whole: written beside, synced, renamed. Little endian:
 *
 * <pre>
 *   'LSRM' u32 | version u16 | role u16 | epoch i64 | pid i64 | startTicks i64 | fingerprint: u32 length, UTF-8
 *   | hello: u32 length, the Hello message | crc32c u32 over all before
 * </pre>
 *
 * @param role what this host is to the VM
 * @param epoch that it was promoted from; -1 if it was not
 * @param pid of the promoted QEMU; 0 if there is none
 * @param startTicks of that process
 * @param fingerprint of the primary's certificate
 * @param hello the primary's last Hello that began a full copy
 */
record ReplicaMeta(Role role, long epoch, long pid, long startTicks, String fingerprint, SessionHello hello) {
    /** What this host is to the VM. */
    enum Role {
        REPLICA(0),
        RELEASED(1),
        PROMOTED(2);

        private final int code;

        Role(int code) {
            this.code = code;
        }

        private static Role of(int code) {
            return code == PROMOTED.code ? PROMOTED : code == RELEASED.code ? RELEASED : REPLICA;
        }
    }

    private static final int MAGIC = 0x4d52534c; // "LSRM" in memory order
    private static final int VERSION = 1;
    private static final int FIXED_BYTES = 4 + 2 + 2 + 8 + 8 + 8 + 4 + 4 + 4;
    private static final int FILE_BYTES_MAX = 2 << 20; // a Hello of 1 MiB, doubled

    static Path path(Path directory) {
        return directory.resolve("meta");
    }

    ReplicaMeta with(Role newRole) {
        return new ReplicaMeta(newRole, epoch, pid, startTicks, fingerprint, hello);
    }

    ReplicaMeta promoted(long promotedEpoch, long qemuPid, long qemuStartTicks) {
        return new ReplicaMeta(Role.PROMOTED, promotedEpoch, qemuPid, qemuStartTicks, fingerprint, hello);
    }

    /** Replaces the file; durable when it returns. */
    void store(Path directory) throws IOException, LockstepException {
        ExpandableArrayBuffer message = new ExpandableArrayBuffer();
        // So that an agent of an earlier package, which somebody went back to, can read it.
        int helloBytes = HelloCodec.encode(hello.oldest(), message);
        byte[] name = fingerprint.getBytes(StandardCharsets.UTF_8);
        ByteBuffer bytes =
                ByteBuffer.allocate(FIXED_BYTES + name.length + helloBytes).order(ByteOrder.LITTLE_ENDIAN);
        bytes.putInt(MAGIC).putShort((short) VERSION).putShort((short) role.code);
        bytes.putLong(epoch).putLong(pid).putLong(startTicks);
        bytes.putInt(name.length).put(name);
        bytes.putInt(helloBytes).put(message.byteArray(), 0, helloBytes);
        CRC32C crc = new CRC32C();
        crc.update(bytes.array(), 0, bytes.position());
        bytes.putInt((int) crc.getValue()).flip();
        Path path = path(directory);
        Path next = directory.resolve("meta.next");
        try (FileChannel file = FileChannel.open(
                next, StandardOpenOption.CREATE, StandardOpenOption.WRITE, StandardOpenOption.TRUNCATE_EXISTING)) {
            while (bytes.hasRemaining()) {
                file.write(bytes);
            }
            file.force(true);
        }
        Files.move(next, path, StandardCopyOption.ATOMIC_MOVE);
        try (FileChannel parent = FileChannel.open(directory, StandardOpenOption.READ)) {
            parent.force(true);
        }
    }

    /**
     * Reads it.
     *
     * @throws LockstepException {@code replica-meta-corrupt}, {@code replica-meta-too-new}
     */
    static ReplicaMeta load(Path directory) throws IOException, LockstepException {
        Path path = path(directory);
        if (Files.size(path) > FILE_BYTES_MAX) {
            throw corrupt(path, "length " + Files.size(path) + " > " + FILE_BYTES_MAX);
        }
        byte[] content = Files.readAllBytes(path);
        if (content.length < FIXED_BYTES) {
            throw corrupt(path, "length " + content.length + " < " + FIXED_BYTES);
        }
        ByteBuffer bytes = ByteBuffer.wrap(content).order(ByteOrder.LITTLE_ENDIAN);
        if (bytes.getInt() != MAGIC) {
            throw corrupt(path, "magic " + Integer.toHexString(bytes.getInt(0)) + " != " + Integer.toHexString(MAGIC));
        }
        int version = bytes.getShort() & 0xffff;
        if (version > VERSION) {
            throw new LockstepException(
                    "replica-meta-too-new",
                    path + " has version " + version + " > " + VERSION + ". Upgrade lockstep here.");
        }
        CRC32C crc = new CRC32C();
        crc.update(content, 0, content.length - 4);
        int stored = bytes.getInt(content.length - 4);
        if ((int) crc.getValue() != stored) {
            throw corrupt(
                    path,
                    "checksum " + Long.toHexString(crc.getValue()) + " != " + Integer.toHexString(stored) + " stored");
        }
        // The checksum vouches for what follows: it was written by store().
        Role role = Role.of(bytes.getShort());
        long epoch = bytes.getLong();
        long pid = bytes.getLong();
        long startTicks = bytes.getLong();
        byte[] name = new byte[bytes.getInt()];
        bytes.get(name);
        int helloBytes = bytes.getInt();
        SessionHello hello = HelloCodec.decodeHello(new UnsafeBuffer(content), bytes.position(), helloBytes);
        return new ReplicaMeta(role, epoch, pid, startTicks, new String(name, StandardCharsets.UTF_8), hello);
    }

    private static LockstepException corrupt(Path path, String what) {
        return new LockstepException(
                "replica-meta-corrupt",
                path + ": " + what + ". Remove the directory " + path.getParent() + " to copy the VM again.");
    }
}
