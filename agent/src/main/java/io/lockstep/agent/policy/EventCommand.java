package io.lockstep.agent.policy;

import io.lockstep.agent.policy.ActionLog.Outcome;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;

/**
 * Runs the operator's command for an event, with the event as JSON on its standard input. One runs at a time, on a thread of its own, so a command
 * that hangs costs its own time alone. All is bounded: {@link #WAITING_MAX} events wait, {@link #OUTPUT_BYTES_MAX} bytes of output are kept, and what
 * takes longer than its time, or writes more than {@link #WRITTEN_BYTES_MAX}, is killed with all that it started. Any thread may call.
 */
final class EventCommand implements AutoCloseable {
    static final String ACTION = "runCommand";
    static final int WAITING_MAX = 64;
    static final int OUTPUT_BYTES_MAX = 400;

    /** A command that writes more is killed. */
    static final int WRITTEN_BYTES_MAX = 1 << 20;

    /** How often its end is looked for, and the length of its output. */
    private static final long SLICE_MS = 5;

    private static final String PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

    private final List<String> command;
    private final long timeoutMs;
    private final ActionLog log;
    private final AtomicLong dropped = new AtomicLong();
    private final ThreadPoolExecutor thread = new ThreadPoolExecutor(
            1,
            1,
            0,
            TimeUnit.SECONDS,
            new ArrayBlockingQueue<>(WAITING_MAX),
            work -> {
                Thread made = new Thread(work, "hardware-command");
                made.setDaemon(true);
                return made;
            },
            (work, executor) -> dropped.incrementAndGet());

    /**
     * @param command program and arguments, no shell; empty: none
     * @param timeoutMs longest run
     */
    EventCommand(List<String> command, long timeoutMs, ActionLog log) {
        this.command = List.copyOf(command);
        this.timeoutMs = timeoutMs;
        this.log = log;
    }

    /**
     * Has the command run for an event; returns at once.
     *
     * @param subject the part of the host
     * @param json one line, less than a pipe holds: 64 KiB
     * @param mode {@code on}, {@code off} or {@code dry-run}
     */
    void run(String subject, String json, String mode, String why) {
        if (mode.equals("on")) {
            thread.execute(() -> run(subject, json, why));
        } else if (mode.equals("dry-run") && !command.isEmpty()) {
            log.note(ACTION, subject, Outcome.DRY_RUN, "would run " + command.get(0) + ": " + why);
        }
    }

    private void run(String subject, String json, String why) {
        long lost = dropped.getAndSet(0);
        if (lost > 0) {
            log.note(ACTION, subject, Outcome.FAILED, lost + " runs were dropped: " + WAITING_MAX + " waited already");
        }
        Path output = null;
        Process process = null;
        try {
            output = Files.createTempFile("lockstep-hardware", ".log");
            ProcessBuilder builder =
                    new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(output.toFile());
            builder.environment().clear();
            builder.environment().put("PATH", PATH);
            process = builder.start();
            write(process, json);
            String end = await(process, output);
            boolean right = end.isEmpty() && process.exitValue() == 0;
            log.note(
                    ACTION,
                    subject,
                    right ? Outcome.DONE : Outcome.FAILED,
                    command.get(0) + " " + (end.isEmpty() ? "exited with " + process.exitValue() + said(output) : end)
                            + "; " + why);
        } catch (IOException e) {
            log.note(ACTION, subject, Outcome.FAILED, command.get(0) + " cannot run: " + e.getMessage() + "; " + why);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } finally {
            if (process != null) {
                process.descendants().forEach(ProcessHandle::destroyForcibly);
                process.destroyForcibly();
            }
            remove(output);
        }
    }

    private static void write(Process process, String json) {
        try (OutputStream in = process.getOutputStream()) {
            in.write((json + "\n").getBytes(StandardCharsets.UTF_8));
        } catch (IOException e) {
            // It does not read: its exit status tells whether that is as meant.
        }
    }

    /** Waits for the end; empty, or why it is not waited for any longer. Its output is a file: no pipe can be held open by what it leaves behind. */
    private String await(Process process, Path output) throws InterruptedException, IOException {
        long endNs = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(timeoutMs);
        while (!process.waitFor(SLICE_MS, TimeUnit.MILLISECONDS)) {
            if (System.nanoTime() - endNs >= 0) {
                return "took longer than " + timeoutMs + " ms and was killed";
            }
            if (Files.size(output) > WRITTEN_BYTES_MAX) {
                return "wrote more than " + WRITTEN_BYTES_MAX + " bytes and was killed";
            }
        }
        return "";
    }

    private static String said(Path output) throws IOException {
        try (InputStream in = Files.newInputStream(output)) {
            String text = new String(in.readNBytes(OUTPUT_BYTES_MAX), StandardCharsets.UTF_8).strip();
            return text.isEmpty() ? "" : ": " + text;
        }
    }

    private static void remove(@Nullable Path output) {
        try {
            if (output != null) {
                Files.deleteIfExists(output);
            }
        } catch (IOException e) {
            output.toFile().deleteOnExit();
        }
    }

    @Override
    public void close() {
        thread.shutdownNow();
    }
}
