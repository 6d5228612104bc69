package io.lockstep.agent.doctor;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** Small files of the kernel's, under a root that tests replace. */
record Procfs(Path root) {
    /** A file's content, stripped; empty if it is not there or not readable. */
    String read(String path) {
        try {
            return Files.readString(path(path)).strip();
        } catch (IOException e) {
            return "";
        }
    }

    /** A number, or a fallback. */
    long number(String path, long fallback) {
        String text = read(path);
        return text.matches("-?[0-9]{1,18}") ? Long.parseLong(text) : fallback;
    }

    /** The value of a line {@code name: value}; empty if there is none. */
    String field(String path, String name) {
        for (String line : read(path).split("\n", -1)) {
            if (line.startsWith(name + ":")) {
                return line.substring(name.length() + 1).strip();
            }
        }
        return "";
    }

    Path path(String path) {
        return root.resolve(path);
    }
}
