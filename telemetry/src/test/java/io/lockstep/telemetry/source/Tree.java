package io.lockstep.telemetry.source;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** A prepared tree of the kernel's small files. */
public record Tree(Path root) {
    /** Writes a file, with the newline that the kernel adds. */
    public Tree file(String path, String content) {
        try {
            Path file = root.resolve(path);
            Files.createDirectories(file.getParent());
            Files.writeString(file, content + "\n");
            return this;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    public Sysfs sysfs() {
        return new Sysfs(root);
    }
}
