package io.lockstep.replication.replica;

import io.lockstep.replication.link.ControlMessage;
import io.lockstep.replication.link.ControlMessage.Page;
import java.io.IOException;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import org.agrona.DirectBuffer;

/** Compares the replica's pages with hashes from the primary. One thread; allocates only for pages that differ. */
final class PageComparison {
    /** u16 block, u16 reserved, u32 page, u64 hash. */
    static final int SCRUB_RECORD_BYTES = 16;

    private static final int HASH_BYTES = 8;

    private final ReplicaFiles files;
    private final ScrubListener listener;
    private List<Page> differing = new ArrayList<>();
    private long epoch;
    private long compared;
    private long differingCount;

    PageComparison(ReplicaFiles files, ScrubListener listener) {
        this.files = files;
        this.listener = listener;
    }

    /** Compares the few pages of an EpochEnd. The records have been checked. */
    void scrub(long scrubbedEpoch, DirectBuffer records, int offset, int length) throws IOException {
        if (length == 0) {
            return;
        }
        begin(scrubbedEpoch);
        for (int at = offset; at < offset + length; at += SCRUB_RECORD_BYTES) {
            int block = records.getShort(at, ByteOrder.LITTLE_ENDIAN) & 0xffff;
            int page = records.getInt(at + 4, ByteOrder.LITTLE_ENDIAN);
            compare(block, page, records.getLong(at + 8, ByteOrder.LITTLE_ENDIAN));
        }
        listener.scrubbed(compared);
        if (!differing.isEmpty()) {
            listener.scrubMismatch(epoch, differing);
            differing = new ArrayList<>();
        }
    }

    /** Starts to compare many pages. */
    void begin(long comparedEpoch) {
        epoch = comparedEpoch;
        compared = 0;
        differingCount = 0;
        differing.clear();
    }

    /** Compares consecutive pages of a block; the last call reports. The range has been checked. */
    void hashes(int block, int firstPage, DirectBuffer hashes, int offset, int length, boolean last)
            throws IOException {
        for (int i = 0; i < length / HASH_BYTES; i++) {
            compare(block, firstPage + i, hashes.getLong(offset + i * HASH_BYTES, ByteOrder.LITTLE_ENDIAN));
        }
        if (last) {
            listener.verified(epoch, compared, differingCount, differing);
            differing = new ArrayList<>();
        }
    }

    private void compare(int block, int page, long expected) throws IOException {
        compared++;
        if (files.hash(block, page) != expected) {
            differingCount++;
            if (differing.size() < ControlMessage.PAGES_MAX) {
                differing.add(new Page(block, page));
            }
        }
    }
}
