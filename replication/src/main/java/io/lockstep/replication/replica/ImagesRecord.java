package io.lockstep.replication.replica;

import io.lockstep.replication.ReplicatedDisk;
import io.lockstep.replication.link.SessionHello;
import io.lockstep.replication.replica.ReplicaMarker.BootId;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.SecureRandom;
import org.jspecify.annotations.Nullable;

/**
 * Which images these are: a number that is another one each time that they are made anew, so that a primary which goes on with a copy knows
 * whether its part of it is still there. A text file beside them.
 *
 * <p>Only of one boot of this host: what is acknowledged of a first copy is in the file system's memory, not on its disk.
 *
 * @param id random, never 0
 * @param about the VM, the boot, and the lengths of its disks
 */
record ImagesRecord(long id, String about) {
    private static final String NAME = "images";
    private static final String FIRST_LINE = "lockstep images 1\nid ";

    /** For images that are made now. */
    static ImagesRecord create(SessionHello hello, BootId boot) {
        SecureRandom random = new SecureRandom();
        long id = 0;
        while (id == 0) {
            id = random.nextLong();
        }
        return new ImagesRecord(id, about(hello, boot));
    }

    /** Whether they are the images of this VM, made in this boot, that the primary knows. */
    boolean isKnownTo(SessionHello hello, BootId boot) {
        return id == hello.imagesId() && about.equals(about(hello, boot));
    }

    private static String about(SessionHello hello, BootId boot) {
        StringBuilder text = new StringBuilder(128);
        text.append("vm ")
                .append(Long.toHexString(hello.vmIdHigh()))
                .append(' ')
                .append(Long.toHexString(hello.vmIdLow()))
                .append("\nboot ")
                .append(Long.toHexString(boot.high()))
                .append(' ')
                .append(Long.toHexString(boot.low()))
                .append('\n');
        for (ReplicatedDisk disk : hello.disks()) {
            text.append("disk ").append(disk.lengthBytes()).append('\n');
        }
        return text.append("end\n").toString();
    }

    /** Writes it, whole or not at all. */
    void store(Path directory) throws IOException {
        Path next = directory.resolve(NAME + ".next");
        Files.writeString(next, FIRST_LINE + Long.toHexString(id) + "\n" + about, StandardCharsets.US_ASCII);
        Files.move(next, directory.resolve(NAME), StandardCopyOption.ATOMIC_MOVE);
    }

    /** That of a directory; null if there is none that can be read. */
    static @Nullable ImagesRecord load(Path directory) throws IOException {
        String text;
        try {
            text = Files.readString(directory.resolve(NAME), StandardCharsets.US_ASCII);
        } catch (NoSuchFileException e) {
            return null;
        }
        int lineEnd = text.indexOf('\n', FIRST_LINE.length());
        if (!text.startsWith(FIRST_LINE) || lineEnd < 0) {
            return null;
        }
        try {
            long id = Long.parseUnsignedLong(text.substring(FIRST_LINE.length(), lineEnd), 16);
            return new ImagesRecord(id, text.substring(lineEnd + 1));
        } catch (NumberFormatException e) {
            return null;
        }
    }
}
