package io.lockstep.agent.demo;

import io.lockstep.linux.LinuxException;
import io.lockstep.linux.Pidfd;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * The linux guest's disk: an ext4 file system with a file of known content, and the log to which the guest's server appends what it is asked to
 * log before it acknowledges that (agent/guests/linux/server.c).
 *
 * <p>Each line of the log bears the guest's time of its writing, so that one that the guest's memory does not know of, and writes again, is found
 * to be another one.
 */
final class LogDisk {
    /** As the demo's report names it. */
    static final String NAME = "log";

    private static final long BYTES = 64L << 20;
    private static final int CONTENT_BYTES = 8 << 20;
    private static final int CONTENT_SEED = 64;
    private static final String CONTENT = "content";
    private static final int SIGSTOP = 19;
    private static final int SIGCONT = 18;
    private static final Pattern REPLICA_IMAGE = Pattern.compile("[^=\"\0,]*/disk-\\d+\\.raw");

    private final Path image;
    private final Path content;

    private LogDisk(Path image, Path content) {
        this.image = image;
        this.content = content;
    }

    /** Makes image and file system. */
    static LogDisk create(Path directory) throws IOException, InterruptedException, DemoFailure {
        Path files = Files.createDirectories(directory.resolve("disk-files"));
        byte[] known = new byte[CONTENT_BYTES];
        new Random(CONTENT_SEED).nextBytes(known);
        Path content = Files.write(files.resolve(CONTENT), known);
        Path image = directory.resolve("disk.raw");
        run("truncate", "-s", Long.toString(BYTES), image.toString());
        // Nothing is left for the guest's kernel to initialise while it runs.
        String eager = "lazy_itable_init=0,lazy_journal_init=0";
        run("mkfs.ext4", "-q", "-F", "-E", eager, "-d", files.toString(), image.toString());
        return new LogDisk(image, content);
    }

    /** The image on the host that the VM starts on. */
    Path image() {
        return image;
    }

    /** Length of the image. */
    long bytes() {
        return BYTES;
    }

    /** QEMU's arguments. */
    List<String> qemuArguments() {
        return List.of(
                "-drive",
                "if=none,id=" + NAME + ",format=raw,file=" + image,
                "-device",
                "virtio-blk-pci,drive=" + NAME);
    }

    /** The guest's option that mounts it. */
    static String guestOption() {
        return "log=/dev/vda";
    }

    /** The image that a promoted VM uses, which was a replica's. */
    static Path imageOf(long qemu) throws IOException, DemoFailure {
        Matcher image = REPLICA_IMAGE.matcher(Files.readString(Path.of("/proc/" + qemu + "/cmdline")));
        if (!image.find()) {
            throw new DemoFailure("QEMU " + qemu + " has no replica's image among its arguments");
        }
        return Path.of(image.group());
    }

    /**
     * Copies the image that a promoted VM uses, as a power cut would leave it now. To be called as soon as the VM runs: a client repeats what was
     * not acknowledged only after a fifth of a second, so the log then is the one that came with the promoted epoch.
     */
    static Path copyOf(long qemu, Path copy) throws IOException, InterruptedException, DemoFailure {
        Path image = imageOf(qemu);
        try (Pidfd process = Pidfd.open(qemu)) {
            process.sendSignal(SIGSTOP);
            try {
                run("cp", "--sparse=auto", "--reflink=auto", image.toString(), copy.toString());
            } finally {
                process.sendSignal(SIGCONT);
            }
        } catch (LinuxException e) {
            throw new DemoFailure("QEMU " + qemu + ": " + e.getMessage(), e);
        }
        return copy;
    }

    /**
     * Replays the journal of a copy, and checks it whole.
     *
     * @return the lines of its log
     * @throws DemoFailure if more than the journal needed replaying, or a byte of the known content is another one
     */
    List<String> check(Path copy) throws IOException, InterruptedException, DemoFailure {
        run("e2fsck", "-p", "-E", "journal_only", copy.toString());
        run("e2fsck", "-f", "-n", copy.toString());
        Path found = copy.resolveSibling(copy.getFileName() + ".content");
        run("debugfs", "-R", "dump /" + CONTENT + " " + found, copy.toString());
        long differs = Files.mismatch(found, content);
        Files.delete(found);
        if (differs != -1) {
            throw new DemoFailure(copy + ": byte " + differs + " of file /" + CONTENT + " is not as it was");
        }
        return run("debugfs", "-R", "cat /log", copy.toString()).lines().toList();
    }

    /**
     * Compares the log of a promoted disk with what the guest has acknowledged, one request after the other.
     *
     * @param log lines of the copy
     * @param before how many lines had been acknowledged before the copy was taken
     * @param after how many when it was taken
     * @param acknowledged all that the guest has acknowledged by now: at least one more than {@code after}
     * @throws DemoFailure if a line is missing, or the guest's memory did not know one of them
     */
    static void compare(List<String> log, int before, int after, List<String> acknowledged) throws DemoFailure {
        if (log.size() < before) {
            throw new DemoFailure(
                    "the promoted disk's log has " + log.size() + " lines, and the guest had acknowledged " + before);
        }
        if (log.size() > after + 1) {
            throw new DemoFailure("the promoted disk's log has " + log.size() + " lines, and only " + after
                    + " were acknowledged and one more asked for");
        }
        for (int i = 0; i < log.size(); i++) {
            if (!log.get(i).equals(acknowledged.get(i))) {
                throw new DemoFailure("line " + (i + 1) + " of the promoted disk's log is \"" + log.get(i)
                        + "\", and the guest acknowledged \"" + acknowledged.get(i) + "\"");
            }
        }
    }

    /** Runs a program of the system, wherever it keeps those of its administrator, and returns what it printed. */
    private static String run(String... command) throws IOException, InterruptedException, DemoFailure {
        List<String> found = new ArrayList<>(List.of(command));
        found.set(
                0,
                Stream.of("/usr/sbin/", "/sbin/", "/usr/bin/", "/bin/")
                        .map(place -> place + command[0])
                        .filter(path -> Files.isExecutable(Path.of(path)))
                        .findFirst()
                        .orElse(command[0]));
        Path errors = Files.createTempFile("lockstep-", ".log");
        try {
            Process process = new ProcessBuilder(found)
                    .redirectInput(Path.of("/dev/null").toFile())
                    .redirectError(errors.toFile())
                    .start();
            String printed = new String(process.getInputStream().readAllBytes(), StandardCharsets.US_ASCII);
            int exit = process.waitFor();
            if (exit != 0) {
                throw new DemoFailure(String.join(" ", found) + " exited with " + exit + ": " + printed
                        + Files.readString(errors, StandardCharsets.ISO_8859_1));
            }
            return printed;
        } finally {
            Files.deleteIfExists(errors);
        }
    }
}
