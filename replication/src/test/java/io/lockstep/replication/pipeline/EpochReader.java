package io.lockstep.replication.pipeline;

import static org.assertj.core.api.Assertions.assertThat;

import io.lockstep.replication.LockstepException;
import io.lockstep.replication.RamBlock;
import io.lockstep.replication.link.FrameChannel;
import io.lockstep.replication.wire.EpochBeginDecoder;
import io.lockstep.replication.wire.EpochEndDecoder;
import io.lockstep.replication.wire.GoodbyeDecoder;
import io.lockstep.replication.wire.MessageHeaderDecoder;
import io.lockstep.replication.wire.PageBatchDecoder;
import io.lockstep.replication.wire.VerifyHashesDecoder;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.zip.CRC32C;
import org.agrona.DirectBuffer;
import org.agrona.concurrent.UnsafeBuffer;

/** A peer as small as the stream allows: applies batches as they come, and checks each epoch's sums. */
final class EpochReader {
    final PageModel model;
    final PageDecoder decoder;
    private final PageDecoder checker;
    final CRC32C checksum = new CRC32C();
    FrameChannel channel;
    long epoch = -1;
    long pageCount;
    long pageBytes;
    long hashesCompared;
    int hashesLast;
    String goodbye = "";

    private final MessageHeaderDecoder header = new MessageHeaderDecoder();

    EpochReader(PageModel model) {
        this(model, model.blocks.length);
    }

    /** @param memoryBlocks the model's blocks behind so many are disks */
    EpochReader(PageModel model, int memoryBlocks) {
        this.model = model;
        int[] pageCounts =
                model.ramBlocks().stream().mapToInt(RamBlock::pageCount).toArray();
        this.decoder = new PageDecoder(memoryBlocks, pageCounts);
        this.checker = new PageDecoder(memoryBlocks, pageCounts);
    }

    void expect(FrameChannel channel) {
        this.channel = channel;
    }

    void awaitEpoch(long wanted) throws Exception {
        while (epoch != wanted) {
            assertThat(channel.receive(this::onFrame, 10_000))
                    .as("a message within 10 s")
                    .isTrue();
        }
    }

    void readAll(FrameChannel channel) throws Exception {
        boolean more = true;
        while (more) {
            more = channel.receive(this::onFrame, 1);
        }
    }

    private void onFrame(DirectBuffer buffer, int offset, int length) {
        header.wrap(buffer, offset);
        int body = offset + MessageHeaderDecoder.ENCODED_LENGTH;
        switch (header.templateId()) {
            case EpochBeginDecoder.TEMPLATE_ID -> {
                checksum.reset();
                decoder.beginEpoch();
                checker.beginEpoch();
                pageCount = 0;
                pageBytes = 0;
            }
            case PageBatchDecoder.TEMPLATE_ID -> batch(buffer, body);
            case EpochEndDecoder.TEMPLATE_ID -> end(buffer, body);
            case VerifyHashesDecoder.TEMPLATE_ID -> hashes(buffer, body);
            case GoodbyeDecoder.TEMPLATE_ID ->
                goodbye = new GoodbyeDecoder()
                        .wrap(buffer, body, header.blockLength(), header.version())
                        .reason();
            default -> throw new AssertionError("template " + header.templateId());
        }
    }

    private void batch(DirectBuffer buffer, int body) {
        PageBatchDecoder batch = new PageBatchDecoder().wrap(buffer, body, header.blockLength(), header.version());
        UnsafeBuffer pages = new UnsafeBuffer(new byte[0]);
        int count = (int) batch.pageCount();
        batch.wrapPages(pages);
        byte[] bytes = new byte[pages.capacity()];
        pages.getBytes(0, bytes);
        checksum.update(bytes);
        pageCount += count;
        pageBytes += bytes.length;
        try {
            checker.check(pages, 0, pages.capacity(), count);
            decoder.apply(pages, 0, pages.capacity(), count, model);
        } catch (LockstepException | IOException e) {
            throw new AssertionError(e);
        }
    }

    private void end(DirectBuffer buffer, int body) {
        EpochEndDecoder end = new EpochEndDecoder().wrap(buffer, body, header.blockLength(), header.version());
        assertThat(end.pageCount()).isEqualTo(pageCount);
        assertThat(end.pageBytes()).isEqualTo(pageBytes);
        assertThat(end.pagesChecksum()).isEqualTo(checksum.getValue());
        UnsafeBuffer scrub = new UnsafeBuffer(new byte[0]);
        end.wrapScrub(scrub);
        for (int at = 0; at < scrub.capacity(); at += 16) {
            int block = scrub.getShort(at, ByteOrder.LITTLE_ENDIAN);
            int page = scrub.getInt(at + 4, ByteOrder.LITTLE_ENDIAN);
            assertThat(scrub.getLong(at + 8, ByteOrder.LITTLE_ENDIAN)).isEqualTo(hash(block, page));
        }
        UnsafeBuffer state = new UnsafeBuffer(new byte[0]);
        end.wrapDeviceState(state);
        ByteBuffer restored = ByteBuffer.allocateDirect(1 << 20);
        int stateBytes = (int) end.deviceStateBytes();
        assertThat(new DeviceStateCodec(1 << 20).decode(state, 0, state.capacity(), stateBytes, restored))
                .isTrue();
        assertThat(restored.limit()).isEqualTo(stateBytes);
        for (int i = 0; i < stateBytes; i++) {
            assertThat(restored.get(i)).isEqualTo((byte) end.epoch());
        }
        epoch = end.epoch();
    }

    private void hashes(DirectBuffer buffer, int body) {
        VerifyHashesDecoder verify =
                new VerifyHashesDecoder().wrap(buffer, body, header.blockLength(), header.version());
        int block = verify.block();
        int first = (int) verify.firstPage();
        hashesLast = verify.last();
        UnsafeBuffer hashes = new UnsafeBuffer(new byte[0]);
        verify.wrapHashes(hashes);
        for (int i = 0; i < hashes.capacity() / 8; i++) {
            assertThat(hashes.getLong(i * 8, ByteOrder.LITTLE_ENDIAN)).isEqualTo(hash(block, first + i));
            hashesCompared++;
        }
    }

    private long hash(int block, int page) {
        return PageHash.of(ByteBuffer.wrap(model.blocks[block][page]), 0);
    }
}
