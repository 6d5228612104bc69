package io.lockstep.replication.pipeline;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Random;
import java.util.zip.CRC32C;
import org.agrona.concurrent.UnsafeBuffer;
import org.junit.jupiter.api.Test;

class PageDecoderTest {
    private final PageModel model = new PageModel(4, 2);
    private final PageDecoder decoder = new PageDecoder(model.ramBlocks());

    private void refused(String message, int block, int encoding, long page, int payloadBytes, byte... payload) {
        UnsafeBuffer record = new UnsafeBuffer(new byte[PageRecord.HEADER_BYTES + payload.length]);
        PageRecord.header(record, 0, block, encoding, (int) page, payloadBytes);
        record.putBytes(PageRecord.HEADER_BYTES, payload);
        assertThatThrownBy(() -> decoder.apply(record, 0, record.capacity(), 1, model))
                .isInstanceOf(PageFormatException.class)
                .hasMessage("page record 0: " + message);
        assertThatThrownBy(() -> decoder.check(record, 0, record.capacity(), 1))
                .isInstanceOf(PageFormatException.class)
                .hasMessage("page record 0: " + message);
    }

    @Test
    void shouldRefuseWhenARecordBreaksARule() {
        refused("block 2 not in 0..1", 2, 0, 0, 0);
        refused("block 65535 not in 0..1", 0xffff, 0, 0, 0);
        refused("page 2 of block 1 not in 0..1", 1, 0, 2, 0);
        refused("page 4294967295 of block 0 not in 0..3", 0, 0, 0xffff_ffffL, 0);
        refused("encoding 6 unknown", 0, 6, 0, 0);
        refused("encoding 255 unknown", 0, 255, 0, 0);
        refused("encoding 1 (UNCHANGED) never travels", 0, 1, 0, 0);
        refused("1 bytes != 0", 0, 0, 0, 1, (byte) 1);
        refused("payload of 4096 > 3 bytes left", 0, 4, 0, 4096, new byte[3]);
        refused("payload of 5000 > 4096", 0, 4, 0, 5000, new byte[5000]);
        refused("100 bytes != 4096", 0, 4, 0, 100, new byte[100]);
        refused("1 bytes after the last record", 0, 0, 0, 0, new byte[0], 1);
        refused("LZ4 block of 1 bytes is damaged", 0, 3, 0, 1, (byte) 0xff);
        refused("1 bytes != 4096", 0, 3, 0, 2, (byte) 0x10, (byte) 5);
        refused("delta is empty", 0, 2, 0, 0);
        refused("delta ends within a gap", 0, 2, 0, 1, (byte) 0x80);
        refused("delta ends after a gap", 0, 2, 0, 1, (byte) 0);
        refused("delta ends within a length", 0, 2, 0, 2, (byte) 0, (byte) 0x80);
        refused("delta run of 0 at 5 not within the page", 0, 2, 0, 2, (byte) 5, (byte) 0);
        refused("delta run of 2 at 4095 not within the page", 0, 2, 0, 5, new byte[] {(byte) 0xff, 0x1f, 2, 1, 1});
        refused("delta run of 3 > 2 bytes left", 0, 2, 0, 4, new byte[] {0, 3, 1, 1});
    }

    private static byte[] reference(int block, int page, byte[] content) {
        UnsafeBuffer payload = new UnsafeBuffer(new byte[PageReference.BYTES]);
        CRC32C crc = new CRC32C();
        crc.update(content);
        PageReference.put(payload, 0, block, page, (int) crc.getValue());
        return payload.byteArray();
    }

    private static UnsafeBuffer record(int block, Encoding encoding, int page, byte[] payload) {
        UnsafeBuffer record = new UnsafeBuffer(new byte[PageRecord.HEADER_BYTES + payload.length]);
        PageRecord.header(record, 0, block, encoding.code(), page, payload.length);
        record.putBytes(PageRecord.HEADER_BYTES, payload);
        return record;
    }

    /** Block 0 is memory, block 1 a disk. */
    @Test
    void shouldTakeAReferredPagesContentFromMemory() throws Exception {
        PageDecoder memoryAndDisk = new PageDecoder(1, 4, 2);
        new Random(1).nextBytes(model.blocks[0][3]);
        UnsafeBuffer record = record(1, Encoding.REFERENCE, 1, reference(0, 3, model.blocks[0][3]));
        memoryAndDisk.check(record, 0, record.capacity(), 1);
        assertThat(model.blocks[1][1]).isEqualTo(new byte[PageModel.PAGE_BYTES]);
        memoryAndDisk.beginEpoch();
        memoryAndDisk.apply(record, 0, record.capacity(), 1, model);
        assertThat(model.blocks[1][1]).isEqualTo(model.blocks[0][3]);
    }

    @Test
    void shouldRefuseAReferenceThatBreaksARule() {
        byte[] zeros = new byte[PageModel.PAGE_BYTES];
        refusedReference("9 bytes != 10", 1, new byte[9]);
        refusedReference("block 0 is memory, which refers to nothing", 0, reference(0, 1, zeros));
        refusedReference("block 1 referred to not in 0..0", 1, reference(1, 0, zeros));
        refusedReference("block 65535 referred to not in 0..0", 1, reference(0xffff, 0, zeros));
        refusedReference("page 4 of block 0 referred to not in 0..3", 1, reference(0, 4, zeros));
        refusedReference("page 4294967295 of block 0 referred to not in 0..3", 1, reference(0, -1, zeros));
    }

    private void refusedReference(String message, int block, byte[] payload) {
        UnsafeBuffer record = record(block, Encoding.REFERENCE, 0, payload);
        assertThatThrownBy(() -> new PageDecoder(1, 4, 2).check(record, 0, record.capacity(), 1))
                .isInstanceOf(PageFormatException.class)
                .hasMessage("page record 0: " + message);
    }

    @Test
    void shouldRefuseAReferenceToContentThatMemoryDoesNotHave() {
        PageDecoder memoryAndDisk = new PageDecoder(1, 4, 2);
        model.blocks[0][3][77] = 1;
        UnsafeBuffer record = record(1, Encoding.REFERENCE, 1, reference(0, 3, new byte[PageModel.PAGE_BYTES]));
        assertThatThrownBy(() -> memoryAndDisk.apply(record, 0, record.capacity(), 1, model))
                .isInstanceOf(PageFormatException.class)
                .hasMessageMatching(
                        "page record 0: page 3 of block 0 referred to has checksum [0-9a-f]{8} != 98f94189");
        assertThat(model.blocks[1][1]).isEqualTo(new byte[PageModel.PAGE_BYTES]);
    }

    /** Applied again from its beginning, the epoch would give the disk what memory has at its end. */
    @Test
    void shouldRefuseMemoryBehindAReferenceInItsEpoch() throws Exception {
        PageDecoder memoryAndDisk = new PageDecoder(1, 4, 2);
        UnsafeBuffer reference = record(1, Encoding.REFERENCE, 1, reference(0, 3, new byte[PageModel.PAGE_BYTES]));
        UnsafeBuffer memory = record(0, Encoding.ZERO, 3, new byte[0]);
        UnsafeBuffer disk = record(1, Encoding.ZERO, 0, new byte[0]);
        memoryAndDisk.check(reference, 0, reference.capacity(), 1);
        memoryAndDisk.check(disk, 0, disk.capacity(), 1);
        assertThatThrownBy(() -> memoryAndDisk.check(memory, 0, memory.capacity(), 1))
                .isInstanceOf(PageFormatException.class)
                .hasMessage("page record 0: block 0 is memory, and behind a page that refers to it");
        memoryAndDisk.beginEpoch();
        memoryAndDisk.check(memory, 0, memory.capacity(), 1);
    }

    private void refused(
            String message, int block, int encoding, long page, int payloadBytes, byte[] payload, int behind) {
        UnsafeBuffer record = new UnsafeBuffer(new byte[PageRecord.HEADER_BYTES + payload.length + behind]);
        PageRecord.header(record, 0, block, encoding, (int) page, payloadBytes);
        assertThatThrownBy(() -> decoder.apply(record, 0, record.capacity(), 1, model))
                .isInstanceOf(PageFormatException.class)
                .hasMessage("page record 1: " + message);
    }

    @Test
    void shouldRefuseWhenFlagsAreSet() {
        UnsafeBuffer record = new UnsafeBuffer(new byte[PageRecord.HEADER_BYTES]);
        record.putByte(3, (byte) 4);
        assertThatThrownBy(() -> decoder.check(record, 0, record.capacity(), 1))
                .hasMessage("page record 0: flags 4 != 0");
        assertThatThrownBy(() -> decoder.check(record, 0, 9, 1))
                .hasMessage("page record 0: header of 10 > 9 bytes left");
        assertThatThrownBy(() -> decoder.check(record, 0, 11, 1)).isInstanceOf(IndexOutOfBoundsException.class);
    }

    @Test
    void shouldEitherApplyOrRefuseWhenRecordsAreMutated() throws Exception {
        Random random = new Random(2026);
        CodecStream stream = new CodecStream(1 << 20);
        PageModel guest = new PageModel(4, 2);
        while (stream.records.size() < 400) {
            int block = random.nextInt(2);
            int page = random.nextInt(guest.blocks[block].length);
            guest.mutate(random, block, page);
            stream.send(guest, block, page, 0);
        }
        int refused = 0;
        for (int i = 0; i < 20_000; i++) {
            int from = random.nextInt(stream.records.size() - 3);
            int count = 1 + random.nextInt(3);
            byte[] pages = stream.batch(from, from + count);
            int changes = 1 + random.nextInt(4);
            for (int change = 0; change < changes; change++) {
                // Half of the changes hit the first header, where most rules are.
                int at = random.nextBoolean()
                        ? random.nextInt(Math.min(14, pages.length))
                        : random.nextInt(pages.length);
                pages[at] = (byte) (random.nextBoolean() ? random.nextInt() : pages[at] ^ 1 << random.nextInt(8));
            }
            int length = random.nextInt(4) == 0 ? random.nextInt(pages.length + 1) : pages.length;
            try {
                decoder.check(new UnsafeBuffer(pages), 0, length, count);
                decoder.apply(new UnsafeBuffer(pages), 0, length, count, model);
            } catch (PageFormatException e) {
                assertThat(e.code()).isEqualTo("page-record-malformed");
                refused++;
            }
        }
        assertThat(refused).isBetween(5_000, 20_000);
    }

    @Test
    void shouldRefuseWhenBytesAreRandom() {
        Random random = new Random(7);
        for (int i = 0; i < 5_000; i++) {
            byte[] pages = new byte[1 + random.nextInt(6_000)];
            random.nextBytes(pages);
            assertThatThrownBy(() -> decoder.apply(new UnsafeBuffer(pages), 0, pages.length, 3, model))
                    .isInstanceOf(PageFormatException.class);
        }
    }
}
