package io.lockstep.replication.protection;

import io.lockstep.linux.LinuxException;
import io.lockstep.replication.RamBlock;
import io.lockstep.replication.link.ControlMessage.VerifyResult;
import io.lockstep.replication.link.FrameChannel;
import io.lockstep.replication.link.LinkException;
import io.lockstep.replication.memory.GuestMemory;
import io.lockstep.replication.memory.PageIndex;
import io.lockstep.replication.pipeline.PageHash;
import io.lockstep.replication.wire.MessageHeaderEncoder;
import io.lockstep.replication.wire.VerifyHashesEncoder;
import java.nio.ByteBuffer;
import java.util.concurrent.CompletableFuture;
import org.agrona.BufferUtil;
import org.agrona.concurrent.UnsafeBuffer;

/**
 * One comparison of all pages: hashes everything at one stop, sends the hashes ahead of the epoch's end, and takes the peer's answer.
 * Its memory, 8 bytes a page, is taken when it is asked for, not in the pause.
 */
final class VerifyRun {
    /** Pages read at once: 1 MiB. */
    private static final int PAGES_PER_READ = 256;

    /** Hashes of one message: 64 Ki × 8 bytes = 512 KiB, half of what a frame may have. */
    private static final int HASHES_PER_MESSAGE = 1 << 16;

    private final PageIndex index;
    private final GuestMemory memory;
    private final PopulatedPages populated;
    private final UnsafeBuffer hashes;
    private final ByteBuffer content =
            BufferUtil.allocateDirectAligned(PAGES_PER_READ * RamBlock.PAGE_BYTES, RamBlock.PAGE_BYTES);
    private final CompletableFuture<VerifyResult> result = new CompletableFuture<>();
    private final long zeroHash;
    private volatile long pauseNs;

    VerifyRun(PageIndex index, GuestMemory memory, PopulatedPages populated) {
        this.index = index;
        this.memory = memory;
        this.populated = populated;
        this.hashes = new UnsafeBuffer(ByteBuffer.allocateDirect(Math.multiplyExact(index.limit(), Long.BYTES)));
        this.zeroHash = PageHash.of(content, 0);
    }

    /** The peer's answer, or why there is none. */
    CompletableFuture<VerifyResult> result() {
        return result;
    }

    /** The VM stood still for so long. */
    void pauseNs(long ns) {
        pauseNs = ns;
    }

    /** How long the VM stood still for it; any thread. */
    long pauseNs() {
        return pauseNs;
    }

    /** Reads and hashes every page; the VM is held. */
    void hash() throws LinuxException {
        populated.refresh();
        for (int block = 0; block < index.regions().size(); block++) {
            int flat = index.flat(block, 0);
            int end = flat + index.regions().get(block).block().pageCount();
            while (flat < end) {
                int run = populated.run(flat, Math.min(PAGES_PER_READ, end - flat));
                if (populated.isHole(flat)) {
                    fill(flat, run);
                } else {
                    // SAFETY: run is at most PAGES_PER_READ, and the buffer holds so many pages.
                    memory.read(flat, run, BufferUtil.address(content));
                    for (int i = 0; i < run; i++) {
                        hashes.putLong((flat + i) * Long.BYTES, PageHash.of(content, i * RamBlock.PAGE_BYTES));
                    }
                }
                flat += run;
            }
        }
    }

    private void fill(int flat, int pageCount) {
        for (int i = 0; i < pageCount; i++) {
            hashes.putLong((flat + i) * Long.BYTES, zeroHash);
        }
    }

    /** Sends the hashes of the epoch; all its pages were sent before, its end follows. */
    void send(FrameChannel channel, long epoch) throws LinkException {
        UnsafeBuffer message =
                new UnsafeBuffer(ByteBuffer.allocateDirect(HASHES_PER_MESSAGE * Long.BYTES + RamBlock.PAGE_BYTES));
        VerifyHashesEncoder encoder = new VerifyHashesEncoder();
        MessageHeaderEncoder header = new MessageHeaderEncoder();
        int blocks = index.regions().size();
        for (int block = 0; block < blocks; block++) {
            int first = index.flat(block, 0);
            int pageCount = index.regions().get(block).block().pageCount();
            for (int page = 0; page < pageCount; page += HASHES_PER_MESSAGE) {
                int count = Math.min(HASHES_PER_MESSAGE, pageCount - page);
                boolean last = block == blocks - 1 && page + count == pageCount;
                encoder.wrapAndApplyHeader(message, 0, header)
                        .epoch(epoch)
                        .block(block)
                        .last((short) (last ? 1 : 0))
                        .firstPage(page)
                        .putHashes(hashes, (first + page) * Long.BYTES, count * Long.BYTES);
                channel.send(message, 0, MessageHeaderEncoder.ENCODED_LENGTH + encoder.encodedLength());
            }
        }
    }
}
