package io.lockstep.replication.replica;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The fence command of the configuration. It gets the VM's name as LOCKSTEP_VM; exit code 0 means that the other host cannot run the VM.
 * What exceeds its time is killed, and counts as failed.
 */
public final class FenceCommand implements Fence {
    private static final Logger LOG = LoggerFactory.getLogger(FenceCommand.class);
    private static final int OUTPUT_BYTES_MAX = 400; // a line or two for the log

    private final List<String> command;
    private final long timeoutMs;

    /**
     * @param command program and arguments, no shell
     * @param timeoutMs longest run
     */
    public FenceCommand(List<String> command, long timeoutMs) {
        this.command = List.copyOf(command);
        this.timeoutMs = timeoutMs;
    }

    @Override
    public Outcome fence(String vm) {
        @Nullable File output = null;
        Process process = null;
        try {
            output = output();
            ProcessBuilder builder = new ProcessBuilder(command)
                    .redirectErrorStream(true)
                    .redirectInput(new File("/dev/null"))
                    .redirectOutput(
                            output == null ? ProcessBuilder.Redirect.DISCARD : ProcessBuilder.Redirect.to(output));
            builder.environment().put("LOCKSTEP_VM", vm);
            process = builder.start();
            if (!process.waitFor(timeoutMs, TimeUnit.MILLISECONDS)) {
                return new Outcome(false, "fence command took longer than " + timeoutMs + " ms and was killed");
            }
            int code = process.exitValue();
            return new Outcome(code == 0, "fence command exit code " + code + text(output));
        } catch (IOException e) {
            return new Outcome(false, "fence command cannot run: " + e.getMessage());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return new Outcome(false, "fence command was interrupted");
        } finally {
            if (process != null) {
                process.descendants().forEach(ProcessHandle::destroyForcibly);
                process.destroyForcibly();
            }
            if (output != null && !output.delete()) {
                output.deleteOnExit();
            }
        }
    }

    /** Null where there is no room for it: what a fence says must not decide whether it is run. */
    private static @Nullable File output() {
        try {
            return File.createTempFile("lockstep-fence", ".log");
        } catch (IOException e) {
            LOG.warn("what the fence command prints is lost: {}", e.toString());
            return null;
        }
    }

    private static String text(@Nullable File output) {
        if (output == null) {
            return "";
        }
        byte[] bytes;
        try (var in = new java.io.FileInputStream(output)) {
            bytes = in.readNBytes(OUTPUT_BYTES_MAX);
        } catch (IOException e) {
            return ": its output cannot be read: " + e.getMessage();
        }
        String text = new String(bytes, StandardCharsets.UTF_8).strip();
        return text.isEmpty() ? "" : ": " + text;
    }
}
