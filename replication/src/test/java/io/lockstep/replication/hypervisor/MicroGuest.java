package io.lockstep.replication.hypervisor;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/** The project's micro guest, built for tests, and what it prints. */
final class MicroGuest {
    private MicroGuest() {}

    /** Builds it if need be. */
    static Path elf() throws Exception {
        Path project = Path.of(System.getProperty("lockstep.project", ".."));
        Path target = Path.of("target", "guests").toAbsolutePath();
        Process build = new ProcessBuilder(
                        project.resolve("agent/guests/build.sh").toString(), "--micro", target.toString())
                .inheritIO()
                .start();
        if (!build.waitFor(60, TimeUnit.SECONDS) || build.exitValue() != 0) {
            throw new IOException("build.sh --micro failed");
        }
        return target.resolve("micro.elf");
    }

    /** The hashes by tick; every hash that was printed for it. */
    static Map<Long, List<String>> ticks(Path serial) throws IOException {
        Map<Long, List<String>> ticks = new LinkedHashMap<>();
        String text = Files.exists(serial) ? Files.readString(serial) : "";
        int whole = text.lastIndexOf('\n') + 1;
        for (String line : text.substring(0, whole).split("\r?\n", -1)) {
            String[] words = line.split(" ", -1);
            // A line that the dead primary had begun may run into the standby's first one: only whole ones count.
            if (words.length == 4 && words[0].equals("tick") && words[2].equals("state")) {
                ticks.computeIfAbsent(Long.parseLong(words[1]), t -> new ArrayList<>())
                        .add(words[3]);
            }
        }
        return ticks;
    }

    static long lastTick(Path serial) throws IOException {
        return ticks(serial).keySet().stream().mapToLong(t -> t).max().orElse(-1);
    }
}
