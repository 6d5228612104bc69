package io.lockstep.telemetry.source;

import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/** Small files of the kernel's under a root; what is not there, or not readable, reads as empty. Any thread. */
public record Sysfs(Path root) {
    /** Most directory entries that are looked at: a host has some thousand PCI functions. */
    private static final int ENTRIES_MAX = 65_536;

    /** The content of a file, stripped. */
    public String read(String path) {
        try {
            return Files.readString(root.resolve(path)).strip();
        } catch (IOException | RuntimeException e) {
            // Files vanish with their devices, and some answer EIO: both are as good as empty.
            return "";
        }
    }

    /** The content of a file that is no text; empty if it cannot be read. */
    public byte[] bytes(String path) {
        try {
            return Files.readAllBytes(root.resolve(path));
        } catch (IOException | RuntimeException e) {
            // As for texts.
            return new byte[0];
        }
    }

    /** A number, decimal or 0x hexadecimal; the fallback if it is none. */
    public long number(String path, long fallback) {
        return parse(read(path), fallback);
    }

    /** A text as a number. */
    static long parse(String text, long fallback) {
        try {
            return text.isEmpty() ? fallback : Long.decode(text.replaceFirst("^(-?)0+(?=[0-9])", "$1"));
        } catch (NumberFormatException e) {
            return fallback;
        }
    }

    /** Whether there is something by that name. */
    public boolean exists(String path) {
        return Files.exists(root.resolve(path));
    }

    /** Names in a directory that match a regular expression, sorted. */
    public List<String> names(String directory, String pattern) {
        List<String> names = new ArrayList<>();
        try (DirectoryStream<Path> entries = Files.newDirectoryStream(root.resolve(directory))) {
            for (Path entry : entries) {
                String name = entry.getFileName().toString();
                if (name.matches(pattern) && names.size() < ENTRIES_MAX) {
                    names.add(name);
                }
            }
        } catch (IOException | RuntimeException e) {
            return List.of();
        }
        Collections.sort(names);
        return names;
    }
}
