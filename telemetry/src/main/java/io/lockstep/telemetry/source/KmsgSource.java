package io.lockstep.telemetry.source;

import io.lockstep.linux.Errno;
import io.lockstep.linux.LinuxException;
import io.lockstep.linux.ReadableFile;
import io.lockstep.telemetry.event.HardwareEvent;
import io.lockstep.telemetry.source.SourceState.Status;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.function.Consumer;
import java.util.function.LongSupplier;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * The kernel's log: Linux Documentation/ABI/testing/dev-kmsg. A file remembers how far it was read, so that an agent that starts again
 * neither misses records nor tells them twice.
 */
public final class KmsgSource implements EventSource {
    /** A record has at most 8 KiB ({@code PRINTK_MESSAGE_MAX} and its head). */
    private static final int RECORD_BYTES = 8192;

    /** Records in one turn; a log that is flooded may not hold up the others. */
    private static final int RECORDS_PER_TURN = 4096;

    private static final Pattern HEAD = Pattern.compile("\\d{1,9},(\\d{1,18}),(\\d{1,18}),[^;]*;");
    private static final Pattern MIRRORED = Pattern.compile(".*Memory: (\\S+)/(\\S+) mirrored memory.*");
    private static final long NS_PER_MS = 1_000_000;
    private static final long US_PER_MS = 1_000;

    private final @Nullable ReadableFile file;
    private final Path cursor;
    private final String boot;
    private final LongSupplier monotonicNs;
    private final CperLog log = new CperLog();
    private volatile SourceState state;
    private String mirrored = "";
    private String unwritable = "";
    private long doneUpTo;
    private long sequence = -1;
    private long events;
    private long lost;

    /**
     * Opens the log; where that cannot be, the state says why.
     *
     * @param kmsg {@code /dev/kmsg}
     * @param boot identity of this life of the kernel, {@code /proc/sys/kernel/random/boot_id}
     * @param cursor file of our own that remembers how far the log was read
     * @param monotonicNs CLOCK_MONOTONIC, which runs as the log's times do
     */
    public KmsgSource(Path kmsg, String boot, Path cursor, LongSupplier monotonicNs) {
        this.cursor = cursor;
        this.boot = boot;
        this.monotonicNs = monotonicNs;
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
        doneUpTo = remembered();
    }

    private long remembered() {
        try {
            String[] words = Files.readString(cursor).strip().split(" ", 2);
            return words.length == 2 && words[0].equals(boot) ? Sysfs.parse(words[1], -1) : -1;
        } catch (IOException e) {
            return -1;
        }
    }

    @Override
    public String name() {
        return "kmsg";
    }

    @Override
    public int[] descriptors() {
        return file == null ? new int[0] : new int[] {file.fd()};
    }

    @Override
    public int poll(long wallMs, Consumer<HardwareEvent> sink) {
        if (file == null) {
            return 0;
        }
        long before = events;
        Consumer<HardwareEvent> counting = event -> {
            events++;
            sink.accept(event);
        };
        try {
            for (int records = 0; records < RECORDS_PER_TURN; records++) {
                int bytes = file.read();
                if (bytes == ReadableFile.GAP) {
                    lost++;
                } else if (bytes <= 0) {
                    break;
                } else {
                    record(text(file.buffer(), bytes), wallMs, counting);
                }
            }
            log.quiet(wallMs, counting);
        } catch (LinuxException e) {
            state = new SourceState(Status.DEAF, e.toString(), "", events, lost);
            return (int) (events - before);
        }
        if (events != before) {
            remember();
        }
        publish();
        return (int) (events - before);
    }

    private void record(String record, long wallMs, Consumer<HardwareEvent> sink) {
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
            long agoMs = monotonicNs.getAsLong() / NS_PER_MS - Long.parseLong(head.group(2)) / US_PER_MS;
            log.line(text, wallMs - Math.max(0, agoMs), sink);
        }
    }

    private static String text(ByteBuffer buffer, int bytes) {
        byte[] copy = new byte[bytes];
        buffer.get(0, copy);
        return new String(copy, StandardCharsets.UTF_8);
    }

    private void remember() {
        doneUpTo = sequence;
        Path next = cursor.resolveSibling(cursor.getFileName() + ".new");
        try {
            Files.writeString(next, boot + " " + sequence + "\n");
            Files.move(next, cursor, StandardCopyOption.ATOMIC_MOVE);
            unwritable = "";
        } catch (IOException e) {
            unwritable = ", but cannot remember it: " + e;
        }
    }

    private void publish() {
        Status status = lost > 0 ? Status.LOSING : Status.PRESENT;
        String cure = lost > 0 ? "Raise log_buf_len on the kernel's command line: its log was overwritten." : "";
        state = new SourceState(status, "read up to record " + sequence + unwritable + mirrored, cure, events, lost);
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
