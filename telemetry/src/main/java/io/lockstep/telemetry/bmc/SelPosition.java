package io.lockstep.telemetry.bmc;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * How far the log was told, across restarts: one line, {@code sel1 ERASED RECORD}, with the time of the log's last erasure and the last record that was
 * told, in hexadecimal; {@code -} for none.
 */
final class SelPosition {
    private static final String MAGIC = "sel1";

    private final Path file;
    private @Nullable SelRecord last;
    private long erased;
    private boolean known;

    SelPosition(Path file) {
        this.file = file;
        try {
            String[] words = Files.readString(file).strip().split(" ", -1);
            if (words.length == 3 && words[0].equals(MAGIC)) {
                erased = Long.parseLong(words[1]);
                last = words[2].equals("-") ? null : record(words[2]);
                known = true;
            }
        } catch (IOException | IllegalArgumentException e) {
            // Not there, or not ours: the log is read as on the first day.
            known = false;
        }
    }

    private static SelRecord record(String hex) {
        byte[] bytes = new byte[hex.length() / 2];
        for (int i = 0; i < bytes.length; i++) {
            bytes[i] = (byte) Integer.parseInt(hex.substring(2 * i, 2 * i + 2), 16);
        }
        return new SelRecord(bytes);
    }

    /** Whether an earlier life, or an earlier poll, has read the log to its end. */
    boolean known() {
        return known;
    }

    /** The last record that was told; null if the log was empty. */
    @Nullable
    SelRecord last() {
        return last;
    }

    /** Seconds by the controller's clock when the log was last erased. */
    long erased() {
        return erased;
    }

    /**
     * Keeps it, if it is another than before.
     *
     * @param whole whether the log was read to its end
     */
    void reached(@Nullable SelRecord record, long erasedSeconds, boolean whole) throws IOException {
        boolean same = erased == erasedSeconds && Objects.equals(record, last) && known == (known || whole);
        last = record;
        erased = erasedSeconds;
        known |= whole;
        if (same) {
            return;
        }
        Path next = file.resolveSibling(file.getFileName() + ".new");
        Files.writeString(next, MAGIC + " " + erased + " " + (record == null ? "-" : record.hex()) + "\n");
        Files.move(next, file, StandardCopyOption.ATOMIC_MOVE);
    }
}
