package io.lockstep.agent;

import io.lockstep.linux.LinuxException;
import io.lockstep.linux.Scheduling;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The JVM's compilers give way to the threads of VMs and of replication; sched(7), nice values. What has never run before, as a promotion, is compiled
 * while it runs: with two processors the compilers took half of both from the VM that was to start.
 */
final class CompilerThreads {
    private static final Logger LOG = LoggerFactory.getLogger(CompilerThreads.class);
    /** A third of an ordinary thread's share where all processors are busy: enough for code to be compiled there, too. */
    private static final int NICE = 5;

    private static final Path THREADS = Path.of("/proc/self/task");

    private CompilerThreads() {}

    /** The compilers' threads, and with them those that they start. */
    static void giveWay() {
        try (DirectoryStream<Path> threads = Files.newDirectoryStream(THREADS)) {
            for (Path thread : threads) {
                if (isCompiler(thread)) {
                    Scheduling.setNice(Integer.parseInt(thread.getFileName().toString()), NICE);
                }
            }
        } catch (LinuxException e) {
            LOG.debug("the compilers keep their priority: {}", e.getMessage());
        } catch (IOException e) {
            LOG.warn("the compilers keep their priority", e);
        }
    }

    /** HotSpot names them {@code C1 CompilerThread0}, {@code C2 CompilerThread0}, ...; Linux keeps 15 bytes of it. */
    private static boolean isCompiler(Path thread) throws IOException {
        try {
            return Files.readString(thread.resolve("comm"), StandardCharsets.ISO_8859_1)
                    .matches("C[12] CompilerThre\\s");
        } catch (NoSuchFileException e) {
            return false; // It has ended meanwhile.
        }
    }
}
