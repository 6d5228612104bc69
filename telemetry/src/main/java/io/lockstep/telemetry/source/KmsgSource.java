package io.lockstep.telemetry.source;

import io.lockstep.linux.Errno;
import io.lockstep.linux.LinuxException;
import io.lockstep.linux.ReadableFile;
import io.lockstep.telemetry.event.HardwareEvent;
import io.lockstep.telemetry.event.Raw;
import io.lockstep.telemetry.source.SourceState.Status;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.function.Consumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * The kernel's log: Linux Documentation/ABI/testing/dev-kmsg. Each event says up to which record the log is in what was handed on ({@link
 * Raw.Logged}). It is kept with what the events did, so that an agent that starts again neither misses records nor tells them twice.
 */
public final class KmsgSource implements EventSource {
    private static final String NAME = "kmsg";

    /** A record has at most 8 KiB ({@code PRINTK_MESSAGE_MAX} and its head). */
    private static final int RECORD_BYTES = 8192;

    /** Records in one turn; a log that is flooded may not hold up the others. */
    private static final int RECORDS_PER_TURN = 4096;

    private static final Pattern HEAD = Pattern.compile("\\d{1,9},(\\d{1,18}),(\\d{1,18}),[^;]*;");
    private static final Pattern MIRRORED = Pattern.compile(".*Memory: (\\S+)/(\\S+) mirrored memory.*");
    private static final long NS_PER_MS = 1_000_000;
    private static final long US_PER_MS = 1_000;

    private final @Nullable ReadableFile file;
    private final Counters kept;
    private final CperLog log = new CperLog();
    private volatile SourceState state;
    private String mirrored = "";
    private long sequence = -1;
    private long events;
    private long lost;

    /**
     * Opens the log; where that cannot be, the state says why.
     *
     * @param kmsg {@code /dev/kmsg}
     * @param kept how far the log was read in this life of the kernel
     */
    public KmsgSource(Path kmsg, Counters kept) {
        this.kept = kept;
        ReadableFile opened = null;
        SourceState found = SourceState.present("reads " + kmsg, 0);
        try {
            opened = new ReadableFile(kmsg, RECORD_BYTES);
        } catch (LinuxException e) {
            found = e.errno() == Errno.EPERM || e.errno() == Errno.EACCES
                    ? SourceState.noPrivilege("cannot read " + kmsg)
                    : SourceState.absent("no kernel log: " + e.getMessage(), "");
        }
        file = opened;
        state = found;
    }

    /** Takes up how far an agent read the log that kept that in a file of its own: the life of the kernel, a space, the record. */
    public static void takeUp(Path cursor, Counters kept) {
        String[] words = new Sysfs(cursor).read("").split(" ", 2);
        long record = words.length == 2 && words[0].equals(kept.boot()) ? Sysfs.parse(words[1], -1) : -1;
        if (record >= 0 && !kept.boot().isEmpty()) {
            kept.pass(NAME, record);
        }
    }

    @Override
    public String name() {
        return NAME;
    }

    @Override
    public int[] descriptors() {
        return file == null ? new int[0] : new int[] {file.fd()};
    }

    @Override
    public int poll(Moment now, Consumer<HardwareEvent> sink) {
        if (file == null) {
            return 0;
        }
        long before = events;
        long doneUpTo = kept.passed(NAME);
        Consumer<HardwareEvent> counting = event -> {
            events++;
            sink.accept(event.seenAs(
                    new Raw.Logged(NAME, log.doneUpTo(), event.raw().words())));
        };
        try {
            for (int records = 0; records < RECORDS_PER_TURN; records++) {
                int bytes = file.read();
                if (bytes == ReadableFile.GAP) {
                    lost++;
                } else if (bytes <= 0) {
                    break;
                } else {
                    record(text(file.buffer(), bytes), doneUpTo, now, counting);
                }
            }
            log.quiet(now.wallMs(), counting);
        } catch (LinuxException e) {
            state = new SourceState(Status.DEAF, e.toString(), "", events, lost);
            return (int) (events - before);
        }
        publish();
        return (int) (events - before);
    }

    private void record(String record, long doneUpTo, Moment now, Consumer<HardwareEvent> sink) {
        Matcher head = HEAD.matcher(record);
        if (!head.lookingAt()) {
            return;
        }
        sequence = Long.parseLong(head.group(1));
        int end = record.indexOf('\n', head.end());
        String text = record.substring(head.end(), end < 0 ? record.length() : end);
        Matcher mirror = MIRRORED.matcher(text);
        if (mirror.matches()) {
            mirrored = ", " + mirror.group(1) + " of " + mirror.group(2) + " of memory is mirrored";
        }
        if (sequence > doneUpTo) {
            // Its times run as the monotonic clock does.
            long agoMs = now.monotonicNs() / NS_PER_MS - Long.parseLong(head.group(2)) / US_PER_MS;
            log.line(sequence, text, now.wallMs() - Math.max(0, agoMs), sink);
        }
    }

    private static String text(ByteBuffer buffer, int bytes) {
        byte[] copy = new byte[bytes];
        buffer.get(0, copy);
        return new String(copy, StandardCharsets.UTF_8);
    }

    private void publish() {
        Status status = lost > 0 ? Status.LOSING : Status.PRESENT;
        String cure = lost > 0 ? "Raise log_buf_len on the kernel's command line: its log was overwritten." : "";
        state = new SourceState(status, "read up to record " + sequence + mirrored, cure, events, lost);
    }

    @Override
    public SourceState state() {
        return state;
    }

    @Override
    public void close() {
        if (file != null) {
            file.close();
        }
    }
}
