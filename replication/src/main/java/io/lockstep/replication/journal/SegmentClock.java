package io.lockstep.replication.journal;

import java.nio.file.Path;
import java.time.LocalDateTime;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.concurrent.atomic.AtomicInteger;
import net.openhft.chronicle.core.time.TimeProvider;
import net.openhft.chronicle.queue.RollCycle;
import net.openhft.chronicle.queue.rollcycles.LegacyRollCycles;

/**
 * The logical time of a journal: it stands still within a segment and jumps one roll cycle when the segment is full, so that Chronicle
 * Queue, which rolls by time, rolls by size. Segment n is the n-th hour since 1970 in its file's name; the name says nothing of real time.
 */
final class SegmentClock implements TimeProvider {
    static final RollCycle ROLL_CYCLE = LegacyRollCycles.HOURLY;
    static final String SUFFIX = ".cq4";

    private static final DateTimeFormatter NAME = DateTimeFormatter.ofPattern(ROLL_CYCLE.format());
    private static final int SECONDS = ROLL_CYCLE.lengthInMillis() / 1000;

    private final AtomicInteger segment = new AtomicInteger();

    SegmentClock(int segment) {
        this.segment.set(segment);
    }

    int segment() {
        return segment.get();
    }

    void next() {
        segment.incrementAndGet();
    }

    @Override
    public long currentTimeMillis() {
        return segment.get() * (SECONDS * 1000L);
    }

    /** The segment that holds a journal index. */
    static int segmentOf(long index) {
        return ROLL_CYCLE.toCycle(index);
    }

    /** The file of a segment. */
    static Path file(Path directory, int segment) {
        return directory.resolve(LocalDateTime.ofEpochSecond((long) segment * SECONDS, 0, ZoneOffset.UTC)
                        .format(NAME)
                + SUFFIX);
    }

    /** The segment of a file. */
    static int segmentOf(Path file) {
        String name = file.getFileName().toString();
        // The pattern has hours only: the minutes are completed for the parser.
        LocalDateTime time = LocalDateTime.parse(
                name.substring(0, name.length() - SUFFIX.length()) + "00",
                DateTimeFormatter.ofPattern("yyyyMMdd-HHmm"));
        return (int) (time.toEpochSecond(ZoneOffset.UTC) / SECONDS);
    }
}
