package io.lockstep.replication.journal;

import io.lockstep.linux.FileRange;
import io.lockstep.linux.LinuxException;
import io.lockstep.replication.LockstepException;
import io.lockstep.replication.wire.EpochBeginDecoder;
import io.lockstep.replication.wire.EpochEndDecoder;
import io.lockstep.replication.wire.MessageHeaderDecoder;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.LongSupplier;
import java.util.stream.Stream;
import net.openhft.chronicle.bytes.Bytes;
import net.openhft.chronicle.bytes.PointerBytesStore;
import net.openhft.chronicle.queue.ExcerptAppender;
import net.openhft.chronicle.queue.impl.single.SingleChronicleQueue;
import net.openhft.chronicle.queue.impl.single.SingleChronicleQueueBuilder;
import net.openhft.chronicle.wire.DocumentContext;
import net.openhft.chronicle.wire.WireType;
import org.agrona.DirectBuffer;
import org.agrona.concurrent.UnsafeBuffer;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The write-ahead journal of one replica.
 *
 * <p>Invariants. An epoch is in the list only if its EpochEnd was appended whole. A record is given out only if its checksum agrees. Every
 * start opens a new segment: nothing is ever appended behind what a killed process left. A segment is deleted only if the caller needs
 * nothing of it, the oldest first.
 *
 * <p>An append is in the page cache and survives the death of this process; {@link #sync()} makes it survive the host's. Appends and trims
 * are synchronized; readers have a thread each. Appending allocates nothing but at a new segment.
 *
 * <p>Only what surrounds a record is written to the mapped file: its content goes to the same place with pwrite(2), which is the same page cache.
 * Each first write to a mapped page is a fault, which cost more than all else that the peer did with the page.
 */
public final class EpochJournal implements AutoCloseable {
    /** Code of the refusal to begin a segment for which there is no room: what the journal holds is whole. */
    public static final String NO_ROOM = "peer-disk-too-small";

    private static final Logger LOG = LoggerFactory.getLogger(EpochJournal.class);

    // Mapped at once: the block and its quarter of overlap, which must hold one record of 1 MiB.
    private static final long BLOCK_BYTES = 8L << 20;
    private static final long LOCK_TIMEOUT_MS = 1_000; // nobody else holds the lock: only a bug waits for it
    private static final long FREE_BYTES_MARGIN = 32L << 20; // metadata, indexes, one block ahead of the appender

    private static final DirectBuffer NO_MESSAGE = new UnsafeBuffer(new byte[0]);

    private final Path directory;
    private final JournalLimits limits;
    private final LongSupplier wallMs;
    private final EpochIndex index = new EpochIndex();
    private final ArrayDeque<Segment> segments = new ArrayDeque<>();
    private final SegmentClock clock;
    private final SingleChronicleQueue queue;
    private final ExcerptAppender appender;
    private final JournalRecord record = new JournalRecord();
    private final MessageHeaderDecoder header = new MessageHeaderDecoder();
    private final EpochBeginDecoder begin = new EpochBeginDecoder();
    private final EpochEndDecoder end = new EpochEndDecoder();
    private Segment open;
    /** Whether a segment was begun in part: what is appended would come to lie in another than it is looked for. */
    private boolean broken;

    private @Nullable FileRange file;
    /** The segment before, of which something may not be on the disk yet. */
    private @Nullable FileRange fileBefore;

    private long openEpoch = -1;
    private long openIndex = -1;
    private long openBytes;
    private final AtomicLong bytes = new AtomicLong();
    private int corruptRecords;
    private boolean closed;

    private static final class Segment {
        final int number;
        long bytes;
        long lastWallMs;

        Segment(int number, long wallMs) {
            this.number = number;
            lastWallMs = wallMs;
        }
    }

    /**
     * Opens a journal, or makes an empty one, and lists what is in it.
     *
     * @param directory its own; made if missing
     * @param wallMs milliseconds since 1970, for the age of segments
     * @throws LockstepException {@code journal-read-only}, {@code journal-io}
     */
    public static EpochJournal open(Path directory, JournalLimits limits, LongSupplier wallMs)
            throws LockstepException {
        System.setProperty("chronicle.analytics.disable", "true");
        System.setProperty("chronicle.announcer.disable", "true");
        try {
            Files.createDirectories(directory);
            // Holds a lock and a listing of the process that died; both are made anew.
            Files.deleteIfExists(directory.resolve("metadata.cq4t"));
            return new EpochJournal(directory, limits, wallMs);
        } catch (IOException | UncheckedIOException e) {
            throw new LockstepException("journal-io", "Journal " + directory + " cannot be opened: " + e, e);
        }
    }

    /** Removes a closed journal with all that is in it. */
    public static void delete(Path directory) throws IOException {
        if (!Files.isDirectory(directory)) {
            return;
        }
        try (Stream<Path> files = Files.list(directory)) {
            for (Path file : files.toList()) {
                Files.deleteIfExists(file);
            }
        }
        Files.deleteIfExists(directory);
    }

    private EpochJournal(Path directory, JournalLimits limits, LongSupplier wallMs)
            throws LockstepException, IOException {
        this.directory = directory;
        this.limits = limits;
        this.wallMs = wallMs;
        // First: where there is no room this is tried again and again, and to list what is there takes long.
        checkSpace();
        List<Path> files = segmentFiles(directory);
        int last = files.isEmpty() ? 0 : SegmentClock.segmentOf(files.get(files.size() - 1));
        clock = new SegmentClock(last + 1);
        queue = SingleChronicleQueueBuilder.builder(directory, WireType.BINARY_LIGHT)
                .rollCycle(SegmentClock.ROLL_CYCLE)
                .timeProvider(clock)
                .blockSize(BLOCK_BYTES)
                .timeoutMS(LOCK_TIMEOUT_MS)
                .checkInterrupts(false)
                .build();
        open = new Segment(clock.segment(), wallMs.getAsLong());
        boolean opened = false;
        try {
            scan(files);
            appender = queue.createAppender();
            appender.singleThreadedCheckDisabled(true);
            openSegment();
            opened = true;
        } catch (IllegalStateException e) {
            throw new LockstepException(
                    "journal-read-only",
                    "Journal " + directory + " is not writable: " + e.getMessage()
                            + ". Start the JVM with all flags of jvm.options, and check the directory's owner.",
                    e);
        } finally {
            if (!opened) {
                queue.close();
            }
        }
    }

    /** Its mark is written by Chronicle itself, which makes the file. */
    private void openSegment() throws LinuxException {
        segments.addLast(open);
        record.set(0, NO_MESSAGE, 0, 0);
        int length = record.length();
        PointerBytesStore mark = new PointerBytesStore();
        // SAFETY: the record's memory lives as long as this object, and has length bytes.
        mark.set(record.address(), length);
        appender.writeBytes(mark);
        count(length);
        if (fileBefore != null) {
            fileBefore.close();
        }
        fileBefore = file;
        file = FileRange.open(SegmentClock.file(directory, open.number), true);
    }

    /** Where it is. */
    public Path directory() {
        return directory;
    }

    /**
     * Appends one message of the stream: EpochBegin, PageBatch, VerifyHashes or EpochEnd. The caller has checked it; an EpochEnd commits
     * its epoch.
     *
     * @return the index of its record
     * @throws LockstepException {@code journal-full}, {@code peer-disk-too-small}, {@code journal-io}
     */
    public synchronized long append(DirectBuffer message, int offset, int length) throws LockstepException {
        if (broken || open.bytes >= limits.segmentBytes()) {
            roll();
        }
        int kind = message.getShort(offset + MessageHeaderDecoder.templateIdEncodingOffset(), ByteOrder.LITTLE_ENDIAN);
        if (openBytes + length > limits.bytesMax() && kind != EpochBeginDecoder.TEMPLATE_ID) {
            throw new LockstepException(
                    "journal-full",
                    "Epoch " + openEpoch + " of " + (openBytes + length) + " bytes > journalBytesMax "
                            + limits.bytesMax() + ". Raise journalBytesMax on the peer.");
        }
        record.set(kind, message, offset, length);
        long at;
        try {
            at = write();
        } catch (LinuxException | RuntimeException | InternalError e) {
            throw new LockstepException("journal-io", "Journal " + directory + " cannot be written: " + e, e);
        }
        note(kind, at);
        return at;
    }

    /** Returns when all that was appended is on the disk. */
    public synchronized void sync() throws LockstepException {
        try {
            if (fileBefore != null) {
                fileBefore.sync();
                fileBefore.close();
                fileBefore = null;
            }
            Objects.requireNonNull(file).sync();
        } catch (LinuxException e) {
            throw new LockstepException("journal-io", "Journal " + directory + " cannot be synced: " + e, e);
        }
    }

    /** A reader with a position of its own, for one thread. */
    public JournalReader reader() {
        return new JournalReader(directory, queue.createTailer());
    }

    /** Number of the newest committed epoch; -1 if there is none. */
    public long newestEpoch() {
        return index.newest();
    }

    /** Number of the oldest committed epoch; -1 if there is none. */
    public long oldestEpoch() {
        return index.oldest();
    }

    /** Journal index of an epoch's EpochBegin; -1 if the epoch is not here. */
    public long beginIndex(long epoch) {
        return index.beginIndex(epoch);
    }

    /** Journal index of an epoch's EpochEnd; -1 if the epoch is not here. */
    public long endIndex(long epoch) {
        return index.endIndex(epoch);
    }

    /** A committed epoch; null if it is not here. */
    public @Nullable EpochEntry epoch(long epoch) {
        return index.get(epoch);
    }

    /** The last committed epochs, newest first. */
    public List<EpochEntry> newestFirst(int limit) {
        return index.newestFirst(limit);
    }

    /** How many committed epochs are listed. */
    public int epochCount() {
        return index.size();
    }

    /** Bytes in all segments; waits for nothing. */
    public long bytes() {
        return bytes.get();
    }

    /** Records that were found damaged at the start. */
    public int corruptRecords() {
        return corruptRecords;
    }

    /** Forgets an epoch and all after it: they cannot be applied, and come again. */
    public void dropFrom(long epoch) {
        index.dropFrom(epoch);
    }

    /**
     * Deletes segments beyond the limits of size and age.
     *
     * @param keepFrom journal index from which on everything is still needed
     * @return segments deleted
     */
    public synchronized int trim(long keepFrom) throws LockstepException {
        int keepSegment = SegmentClock.segmentOf(keepFrom);
        long now = wallMs.getAsLong();
        int deleted = 0;
        while (!segments.isEmpty()) {
            Segment oldest = segments.getFirst();
            boolean due = bytes.get() > limits.bytesMax() || now - oldest.lastWallMs > limits.ageMsMax();
            if (!due || oldest == open || oldest.number >= keepSegment) {
                break;
            }
            try {
                Files.deleteIfExists(SegmentClock.file(directory, oldest.number));
            } catch (IOException e) {
                throw new LockstepException("journal-io", "Journal segment cannot be deleted: " + e, e);
            }
            segments.removeFirst();
            bytes.addAndGet(-oldest.bytes);
            deleted++;
        }
        if (deleted > 0) {
            queue.refreshDirectoryListing();
            index.dropBefore(SegmentClock.ROLL_CYCLE.toIndex(segments.getFirst().number, 0));
        }
        return deleted;
    }

    @Override
    public synchronized void close() {
        if (!closed) {
            closed = true;
            appender.close();
            queue.close();
            if (file != null) {
                file.close();
            }
            if (fileBefore != null) {
                fileBefore.close();
            }
        }
    }

    /** Begins a record and leaves it unfinished, as a kill in the middle of an append does. The journal is of no use afterwards. */
    synchronized void tearNextAppend() {
        DocumentContext torn = appender.writingDocument();
        Objects.requireNonNull(torn.wire()).bytes().writeLong(-1);
    }

    private void roll() throws LockstepException {
        if (broken) {
            throw new LockstepException(
                    "journal-io",
                    "Journal " + directory + " could not begin a segment, and takes nothing until it is opened anew.");
        }
        checkSpace();
        broken = true;
        clock.next();
        open = new Segment(clock.segment(), wallMs.getAsLong());
        try {
            openSegment();
            broken = false;
        } catch (LinuxException e) {
            throw new LockstepException("journal-io", "Journal " + directory + " cannot be written: " + e, e);
        }
    }

    /** A full disk would kill the process at a write to mapped memory: refused here instead. */
    private void checkSpace() throws LockstepException {
        long needed = limits.segmentBytes() + FREE_BYTES_MARGIN;
        long free = directory.toFile().getUsableSpace();
        if (free < needed) {
            throw new LockstepException(
                    NO_ROOM,
                    "Free space for the journal " + free + " < " + needed + " bytes in " + directory
                            + ". Free space there, or lower journal.bytesMax.");
        }
    }

    private long write() throws LinuxException {
        FileRange into = Objects.requireNonNull(file);
        int length = record.length();
        try (DocumentContext document = appender.writingDocument()) {
            boolean done = false;
            try {
                Bytes<?> bytes = Objects.requireNonNull(document.wire()).bytes();
                // SAFETY: the record's memory lives as long as this object, and length is within its capacity, checked
                // by set(). A position of Chronicle's mapped bytes is one of the file.
                into.write(record.address(), length, bytes.writePosition());
                bytes.writeSkip(length);
                done = true;
            } finally {
                if (!done) {
                    document.rollbackOnClose();
                }
            }
        }
        count(length);
        return appender.lastIndexAppended();
    }

    private void count(int length) {
        open.bytes += length;
        bytes.addAndGet(length);
    }

    /** Keeps the list of epochs, while writing as well as while scanning. */
    private void note(int kind, long at) {
        int length = record.length();
        if (kind == EpochBeginDecoder.TEMPLATE_ID) {
            begin.wrapAndApplyHeader(record.buffer(), JournalRecord.HEADER_BYTES, header);
            openEpoch = begin.epoch();
            openIndex = at;
            openBytes = length;
            return;
        }
        openBytes += length;
        if (kind == EpochEndDecoder.TEMPLATE_ID) {
            end.wrapAndApplyHeader(record.buffer(), JournalRecord.HEADER_BYTES, header);
            long epoch = end.epoch();
            if (openIndex >= 0 && epoch == openEpoch) {
                if (epoch <= index.newest()) {
                    index.dropFrom(epoch);
                }
                index.add(epoch, end.wallMs(), end.pageCount(), openBytes, openIndex, at);
                open.lastWallMs = wallMs.getAsLong();
            }
            openIndex = -1;
            openBytes = 0;
        }
    }

    private void scan(List<Path> files) throws LockstepException, IOException {
        JournalReader reader = new JournalReader(directory, queue.createTailer(), record);
        try (reader) {
            for (Path file : files) {
                int number = SegmentClock.segmentOf(file);
                Segment segment =
                        new Segment(number, Files.getLastModifiedTime(file).toMillis());
                Segment appendTo = open;
                open = segment; // note() stamps the segment that it reads
                long stamp = segment.lastWallMs;
                boolean present = reader.moveToSegment(number);
                while (present && reader.nextHeader(number)) {
                    scanRecord(reader);
                    segment.bytes += reader.recordBytes();
                    bytes.addAndGet(reader.recordBytes());
                }
                segment.lastWallMs = stamp;
                open = appendTo;
                segments.addLast(segment);
            }
        }
        openIndex = -1;
        openBytes = 0;
    }

    private void scanRecord(JournalReader reader) {
        try {
            int kind = reader.checkedKind();
            note(kind, reader.index());
        } catch (LockstepException e) {
            corruptRecords++;
            openIndex = -1; // its epoch is not whole
            LOG.warn("{}: {}", directory, e.getMessage());
        }
    }

    private static List<Path> segmentFiles(Path directory) throws IOException {
        try (Stream<Path> files = Files.list(directory)) {
            return files.filter(file -> file.toString().endsWith(SegmentClock.SUFFIX))
                    .sorted()
                    .toList();
        }
    }
}
