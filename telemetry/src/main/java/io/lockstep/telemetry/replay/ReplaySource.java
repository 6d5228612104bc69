package io.lockstep.telemetry.replay;

import io.lockstep.telemetry.event.HardwareEvent;
import io.lockstep.telemetry.source.EventSource;
import io.lockstep.telemetry.source.Moment;
import io.lockstep.telemetry.source.SourceState;
import io.lockstep.telemetry.source.SourceState.Status;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * A recording as a source of a running agent: a drill. Its events come as far apart as they were recorded, but never further than a given time, and
 * each says that it is a drill. What is malformed is counted as lost.
 */
public final class ReplaySource implements EventSource {
    /** Lines in one turn: the real sources may not wait for a drill. */
    private static final int LINES_PER_TURN = 1000;

    private final Path file;
    private final long gapMsMax;
    private final Deque<HardwareEvent> read = new ArrayDeque<>();
    private @Nullable RecordingReader reader;
    private volatile SourceState state;
    private String form = "";
    private String firstCause = "";
    private boolean ended;
    private long lastRecordedMs = Long.MIN_VALUE;
    private long dueMs;
    private long events;
    private long malformed;

    /**
     * Opens it; a file that cannot be read makes a source that says so.
     *
     * @param gapMsMax the longest pause between two events, milliseconds; 0: all at once
     */
    public ReplaySource(Path file, long gapMsMax) {
        this.file = file;
        this.gapMsMax = gapMsMax;
        SourceState found;
        try {
            reader = RecordingReader.open(file, new Sink());
            found = SourceState.present("a drill from " + file, 0);
        } catch (IOException e) {
            found = SourceState.absent("cannot read " + file + ": " + e, "Name a file that the agent may read.");
        }
        state = found;
    }

    private final class Sink implements RecordingSink {
        @Override
        public void event(HardwareEvent event) {
            read.add(event.saying(event.what() + ", a drill"));
        }

        @Override
        public void told(HardwareEvent event, boolean refined) {
            event(event);
        }

        @Override
        public void malformed(long line, String cause) {
            firstCause = malformed == 0 ? ", line " + line + ": " + cause : firstCause;
            malformed++;
        }
    }

    @Override
    public String name() {
        return "drill";
    }

    @Override
    public int poll(Moment now, Consumer<HardwareEvent> sink) {
        long before = events;
        long malformedBefore = malformed;
        boolean endedBefore = ended;
        for (int lines = 0; lines < LINES_PER_TURN; lines++) {
            for (HardwareEvent event = due(now.wallMs()); event != null; event = due(now.wallMs())) {
                events++;
                sink.accept(event.at(now.wallMs()));
            }
            if (!read.isEmpty() || !more()) {
                break;
            }
        }
        if (events != before || ended != endedBefore || malformed != malformedBefore) {
            publish();
        }
        return (int) (events - before);
    }

    /** Whether all of it was handed on, or no more of it can be read. For the thread that polls. */
    public boolean ended() {
        return reader == null && read.isEmpty();
    }

    /** Takes the next event if its time has come. */
    private @Nullable HardwareEvent due(long wallMs) {
        HardwareEvent next = read.peek();
        if (next == null) {
            return null;
        }
        long gapMs = lastRecordedMs == Long.MIN_VALUE ? 0 : Math.max(0, next.wallMs() - lastRecordedMs);
        if (wallMs < dueMs + Math.min(gapMs, gapMsMax)) {
            return null;
        }
        lastRecordedMs = Math.max(lastRecordedMs, next.wallMs());
        dueMs = wallMs;
        return read.poll();
    }

    private boolean more() {
        if (reader == null) {
            return false;
        }
        try {
            ended = !reader.next();
        } catch (IOException e) {
            state = new SourceState(Status.DEAF, "cannot read " + file + ": " + e, "", events, malformed);
            close();
            return false;
        }
        form = reader.format().words();
        boolean more = !ended;
        if (ended) {
            close();
        }
        // The last line may have ended several events.
        return more || !read.isEmpty();
    }

    private void publish() {
        state = new SourceState(
                malformed > 0 ? Status.LOSING : Status.PRESENT,
                "a drill from " + file + ", " + form + (ended && read.isEmpty() ? ", which has ended" : "")
                        + firstCause,
                malformed > 0 ? "Correct the file: what is malformed is passed over." : "",
                events,
                malformed);
    }

    @Override
    public SourceState state() {
        return state;
    }

    @Override
    public void close() {
        if (reader != null) {
            try {
                reader.close();
            } catch (IOException e) {
                // It was read alone: nothing is lost by a close that fails.
                firstCause = firstCause.isEmpty() ? ", " + e : firstCause;
            }
            reader = null;
        }
    }
}
