package io.lockstep.replication.journal;

import io.lockstep.linux.FileRange;
import io.lockstep.linux.LinuxException;
import io.lockstep.replication.LockstepException;
import io.lockstep.replication.wire.EpochBeginDecoder;
import io.lockstep.replication.wire.EpochEndDecoder;
import java.nio.file.Path;
import java.util.Objects;
import net.openhft.chronicle.bytes.Bytes;
import net.openhft.chronicle.queue.ExcerptTailer;
import net.openhft.chronicle.wire.DocumentContext;
import org.agrona.DirectBuffer;
import org.jspecify.annotations.Nullable;

/**
 * Reads a journal's records one after another. A record is copied out of the file and checked there, so that it cannot change
 * between the check and its use; with pread(2), because each first look at a mapped page is a fault. One thread; reading allocates nothing but
 * at a new segment and for errors.
 */
public final class JournalReader implements AutoCloseable {
    private static final int NONE = -1;

    private final Path directory;
    private final ExcerptTailer tailer;
    private final JournalRecord record;
    private @Nullable FileRange file;
    private int fileSegment = NONE;
    private long index = -1;
    private long recordBytes;

    JournalReader(Path directory, ExcerptTailer tailer) {
        this(directory, tailer, new JournalRecord());
    }

    JournalReader(Path directory, ExcerptTailer tailer, JournalRecord record) {
        this.directory = directory;
        this.tailer = tailer;
        this.record = record;
        tailer.singleThreadedCheckDisabled(true);
    }

    /**
     * Goes to a record, so that {@link #next()} reads it.
     *
     * @throws LockstepException {@code journal-corrupt} if there is none
     */
    public void moveTo(long target) throws LockstepException {
        if (tailer.index() != target && !tailer.moveToIndex(target)) {
            throw JournalRecord.corrupt(target, "missing");
        }
    }

    /**
     * Reads and checks the next record.
     *
     * @return false if there is none yet
     * @throws LockstepException {@code journal-corrupt}, {@code journal-too-new}, {@code journal-io}
     */
    public boolean next() throws LockstepException {
        if (!copy(JournalRecord.HEADER_BYTES + JournalRecord.MESSAGE_BYTES_MAX)) {
            return false;
        }
        record.check(index, recordBytes);
        return true;
    }

    /** Index of the last record read. */
    public long index() {
        return index;
    }

    /** SBE template id of the last record's message; 0 for a segment's mark, which is to be skipped. */
    public int kind() {
        return record.kind();
    }

    /** Holds the last record's message from {@link #offset()} on, until the next is read. */
    public DirectBuffer buffer() {
        return record.buffer();
    }

    /** Where the message starts. */
    public int offset() {
        return JournalRecord.HEADER_BYTES;
    }

    /** The message's length. */
    public int length() {
        return record.messageLength();
    }

    @Override
    public void close() {
        tailer.close();
        closeFile();
    }

    private void closeFile() {
        if (file != null) {
            file.close();
            file = null;
        }
    }

    boolean moveToSegment(int segment) {
        return tailer.moveToCycle(segment);
    }

    /** Goes on within a segment, reading only what the list of epochs needs; false at its end or at a torn tail. */
    boolean nextHeader(int segment) throws LockstepException {
        return tailer.cycle() == segment
                && copy(JournalRecord.HEADER_BYTES)
                && SegmentClock.segmentOf(index) == segment;
    }

    /** Checks what {@link #nextHeader} found: begins and ends of epochs whole, others by their header. */
    int checkedKind() throws LockstepException {
        record.checkHeader(index, recordBytes);
        int kind = record.kind();
        if (kind == EpochBeginDecoder.TEMPLATE_ID || kind == EpochEndDecoder.TEMPLATE_ID) {
            if (!tailer.moveToIndex(index) || !next()) {
                throw JournalRecord.corrupt(index, "missing");
            }
        }
        return kind;
    }

    long recordBytes() {
        return recordBytes;
    }

    private boolean copy(int bytesMax) throws LockstepException {
        try (DocumentContext document = tailer.readingDocument()) {
            if (!document.isPresent()) {
                return false;
            }
            index = document.index();
            Bytes<?> bytes = Objects.requireNonNull(document.wire()).bytes();
            recordBytes = bytes.readRemaining();
            int count = (int) Math.min(recordBytes, bytesMax);
            // SAFETY: the record's memory lives as long as this object, and count is within its capacity. A position of
            // Chronicle's mapped bytes is one of the file.
            long read = file().read(record.address(), count, bytes.readPosition());
            if (read < count) {
                throw JournalRecord.corrupt(index, "length " + read + " < " + count);
            }
            return true;
        } catch (LinuxException e) {
            throw new LockstepException("journal-io", "Journal " + directory + " cannot be read: " + e, e);
        }
    }

    private FileRange file() throws LinuxException {
        int segment = SegmentClock.segmentOf(index);
        FileRange present = file;
        if (present == null || segment != fileSegment) {
            closeFile();
            present = FileRange.open(SegmentClock.file(directory, segment), false);
            file = present;
            fileSegment = segment;
        }
        return present;
    }
}
