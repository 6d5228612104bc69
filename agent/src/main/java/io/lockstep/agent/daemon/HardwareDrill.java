package io.lockstep.agent.daemon;

import io.lockstep.agent.view.HardwareView;
import io.lockstep.replication.LockstepException;
import io.lockstep.telemetry.replay.ReplaySource;
import io.lockstep.telemetry.watch.HardwareWatch;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.function.IntSupplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Events of a file, fed to the running watch as if they happened now. What they did to the health outlives the agent, so that it was a drill does,
 * too: until somebody clears the hardware. Any thread.
 */
final class HardwareDrill {
    private static final Logger LOG = LoggerFactory.getLogger(HardwareDrill.class);

    /** Far more than the largest recording takes; a clock that is set back meanwhile must not keep the caller. */
    private static final long FEED_NS_MAX = 30_000_000_000L;

    private final Path recording;
    private final Path note;
    private HardwareView.@Nullable Drill present;

    /** @param state directory of our own that outlives restarts; must exist */
    HardwareDrill(Path state) {
        recording = state.resolve("drill.recording");
        note = state.resolve("drill");
        try {
            List<String> lines = Files.readAllLines(note);
            present = new HardwareView.Drill(lines.get(2), Long.parseLong(lines.get(0)), Long.parseLong(lines.get(1)));
        } catch (NoSuchFileException e) {
            present = null;
        } catch (IOException | RuntimeException e) {
            LOG.warn("{}: {}: some drill left its events here", note, e.toString());
            present = new HardwareView.Drill("unknown", 0, 0);
        }
    }

    /**
     * Feeds all of a recording, without the pauses between its events.
     *
     * @param name of its file, to be shown
     * @return the drill with the number of its events
     * @throws LockstepException {@code drill-empty}, naming the first line that is malformed; {@code drill-not-kept}; nothing was fed
     */
    synchronized HardwareView.Drill run(HardwareWatch watch, String name, byte[] content) throws LockstepException {
        try {
            Files.write(recording, content);
            HardwareView.Drill drill =
                    new HardwareView.Drill(name.replaceAll("\\R", " "), System.currentTimeMillis(), 0);
            HardwareView.Drill before = present;
            // Written down first: no event of a drill may ever look like one that happened.
            keep(drill);
            try (ReplaySource source = new ReplaySource(recording, 0)) {
                long events = 0;
                long endNs = System.nanoTime() + FEED_NS_MAX;
                while (!source.ended() && System.nanoTime() - endNs < 0) {
                    events += watch.feed(source);
                }
                if (events == 0) {
                    restore(before);
                    throw new LockstepException(
                            "drill-empty",
                            name + " holds no event: " + source.state().detail().replace(recording.toString(), name)
                                    + ". `lockstep hardware replay` says what is read from it.");
                }
                HardwareView.Drill done = new HardwareView.Drill(drill.name(), drill.wallMs(), events);
                keep(done);
                LOG.warn("a drill from {}: {} hardware events that did not happen", done.name(), events);
                return done;
            }
        } catch (IOException e) {
            throw new LockstepException(
                    "drill-not-kept", "cannot write " + recording + ": " + e + ". Correct its owner or free space.", e);
        } finally {
            removeRecording();
        }
    }

    private void removeRecording() {
        try {
            Files.deleteIfExists(recording);
        } catch (IOException e) {
            LOG.debug("{}: {}", recording, e.toString());
        }
    }

    private void restore(HardwareView.@Nullable Drill before) throws IOException {
        if (before == null) {
            forget();
        } else {
            keep(before);
        }
    }

    private void keep(HardwareView.Drill drill) throws IOException {
        Path next = note.resolveSibling("drill.new");
        Files.writeString(
                next, drill.wallMs() + "\n" + drill.events() + "\n" + drill.name() + "\n", StandardCharsets.UTF_8);
        try (FileChannel channel = FileChannel.open(next, StandardOpenOption.WRITE)) {
            channel.force(true);
        }
        Files.move(next, note, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        present = drill;
    }

    /** Clears some of the hardware between two drills; that there was one is forgotten with all of it. */
    synchronized int clear(boolean all, IntSupplier clearing) {
        int cleared = clearing.getAsInt();
        if (all) {
            forget();
        }
        return cleared;
    }

    private void forget() {
        present = null;
        try {
            Files.deleteIfExists(note);
        } catch (IOException e) {
            LOG.warn("{}: {}", note, e.toString());
        }
    }

    /** The last one, until it is cleared; null if there was none. */
    synchronized HardwareView.@Nullable Drill present() {
        return present;
    }
}
