package io.lockstep.replication.link;

import io.lockstep.replication.wire.MessageHeaderEncoder;
import io.lockstep.replication.wire.PageBatchDecoder;
import io.lockstep.replication.wire.PageBatchEncoder;
import java.util.SplittableRandom;
import org.agrona.ExpandableArrayBuffer;
import org.agrona.concurrent.UnsafeBuffer;

/** Messages for tests: batches whose content follows from their number. */
final class TestMessages {
    /** A batch's bytes besides its pages: header, block, length of the pages. */
    static final int BATCH_OVERHEAD_BYTES =
            MessageHeaderEncoder.ENCODED_LENGTH + PageBatchEncoder.BLOCK_LENGTH + PageBatchEncoder.pagesHeaderLength();

    private TestMessages() {}

    /** A PageBatch with this epoch and so many seeded bytes of pages. */
    static UnsafeBuffer batch(long epoch, int pagesBytes) {
        byte[] pages = new byte[pagesBytes];
        new SplittableRandom(epoch).nextBytes(pages);
        ExpandableArrayBuffer buffer = new ExpandableArrayBuffer(BATCH_OVERHEAD_BYTES + pagesBytes);
        int length = new PageBatchEncoder()
                .wrapAndApplyHeader(buffer, 0, new MessageHeaderEncoder())
                .epoch(epoch)
                .pageCount(pagesBytes)
                .putPages(pages, 0, pagesBytes)
                .encodedLength();
        return new UnsafeBuffer(buffer, 0, MessageHeaderEncoder.ENCODED_LENGTH + length);
    }

    /** The epoch of a PageBatch that was received. */
    static long epochOf(org.agrona.DirectBuffer buffer, int offset) {
        return new PageBatchDecoder()
                .wrapAndApplyHeader(buffer, offset, new io.lockstep.replication.wire.MessageHeaderDecoder())
                .epoch();
    }
}
