package io.lockstep.replication.journal;

import io.lockstep.replication.wire.EpochBeginEncoder;
import io.lockstep.replication.wire.EpochEndEncoder;
import io.lockstep.replication.wire.EpochKind;
import io.lockstep.replication.wire.MessageHeaderEncoder;
import io.lockstep.replication.wire.PageBatchEncoder;
import io.lockstep.replication.wire.RunState;
import java.util.SplittableRandom;
import java.util.zip.CRC32C;
import org.agrona.ExpandableDirectByteBuffer;
import org.agrona.MutableDirectBuffer;

/** Builds the messages of an epoch with arbitrary bytes as pages. */
public final class Epochs {
    private final MessageHeaderEncoder header = new MessageHeaderEncoder();
    private final MutableDirectBuffer buffer = new ExpandableDirectByteBuffer(1 << 16);
    private int length;

    /** The last message built, from offset 0. */
    public MutableDirectBuffer buffer() {
        return buffer;
    }

    public int length() {
        return length;
    }

    public Epochs begin(long epoch, EpochKind kind) {
        EpochBeginEncoder begin = new EpochBeginEncoder().wrapAndApplyHeader(buffer, 0, header);
        begin.epoch(epoch).kind(kind).wallMs(1_000 + epoch);
        length = MessageHeaderEncoder.ENCODED_LENGTH + begin.encodedLength();
        return this;
    }

    public Epochs batch(long epoch, int pageCount, byte[] pages, int pagesLength) {
        PageBatchEncoder batch = new PageBatchEncoder().wrapAndApplyHeader(buffer, 0, header);
        batch.epoch(epoch).pageCount(pageCount).putPages(pages, 0, pagesLength);
        length = MessageHeaderEncoder.ENCODED_LENGTH + batch.encodedLength();
        return this;
    }

    public Epochs end(
            long epoch, EpochKind kind, long pageCount, long pageBytes, int checksum, byte[] scrub, byte[] state) {
        EpochEndEncoder end = new EpochEndEncoder().wrapAndApplyHeader(buffer, 0, header);
        end.epoch(epoch)
                .kind(kind)
                .runState(RunState.RUNNING)
                .wallMs(2_000 + epoch)
                .pauseNs(3_000_000)
                .pageCount(pageCount)
                .pageBytes(pageBytes)
                .pagesChecksum(Integer.toUnsignedLong(checksum))
                .deviceStateBytes(state.length)
                .putScrub(scrub, 0, scrub.length)
                .putDeviceState(state, 0, state.length);
        length = MessageHeaderEncoder.ENCODED_LENGTH + end.encodedLength();
        return this;
    }

    /** Appends a whole epoch of one batch of random bytes; returns the bytes. */
    public byte[] append(EpochJournal journal, long epoch, int pageBytes, SplittableRandom random) throws Exception {
        byte[] pages = new byte[pageBytes];
        random.nextBytes(pages);
        CRC32C crc = new CRC32C();
        crc.update(pages);
        begin(epoch, EpochKind.DELTA);
        journal.append(buffer, 0, length);
        batch(epoch, 1, pages, pages.length);
        journal.append(buffer, 0, length);
        end(epoch, EpochKind.DELTA, 1, pages.length, (int) crc.getValue(), new byte[0], new byte[] {1, 2, 3});
        journal.append(buffer, 0, length);
        return pages;
    }
}
