package io.lockstep.replication.replica;

import io.lockstep.replication.RamBlock;
import io.lockstep.replication.ReplicatedDisk;
import io.lockstep.replication.journal.Epochs;
import io.lockstep.replication.link.FrameChannel;
import io.lockstep.replication.link.HostIdentity;
import io.lockstep.replication.link.LinkException;
import io.lockstep.replication.link.SessionHello;
import io.lockstep.replication.pipeline.Encoding;
import io.lockstep.replication.pipeline.PageHash;
import io.lockstep.replication.pipeline.PageRecord;
import io.lockstep.replication.pipeline.PageReference;
import io.lockstep.replication.wire.EpochKind;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.SplittableRandom;
import java.util.zip.CRC32C;
import net.jpountz.lz4.LZ4Factory;
import org.agrona.concurrent.UnsafeBuffer;

/**
 * A guest and its agent, from a seed: writes its memory, remembers it at each epoch, and sends epochs as the pipeline would. Every byte
 * is a function of the seed, so that another process can compute the memory at any epoch.
 */
final class SimulatedPrimary {
    static final int PAGE_BYTES = RamBlock.PAGE_BYTES;
    static final int BATCH_BYTES_MAX = 60_000;

    /** What is sent, one message after another. */
    interface Out {
        void send(Epochs message) throws LinkException;
    }

    final List<RamBlock> blocks;
    final byte[][] memory;
    final BitSet[] dirty;
    final SplittableRandom random;
    List<String> sharedDisks = List.of();
    String vmName = "vm";
    long epoch = -1;
    /** Disks of the guest, behind the blocks. */
    List<ReplicatedDisk> disks = List.of();
    /** Records of pages of the disks, which the next epoch carries behind its memory. */
    final List<byte[]> diskRecords = new ArrayList<>();

    private final Epochs messages = new Epochs();

    SimulatedPrimary(long seed, int... pageCounts) {
        random = new SplittableRandom(seed);
        blocks = new ArrayList<>();
        memory = new byte[pageCounts.length][];
        dirty = new BitSet[pageCounts.length];
        for (int i = 0; i < pageCounts.length; i++) {
            long length = (long) pageCounts[i] * PAGE_BYTES;
            blocks.add(new RamBlock(i, i == 0 ? "pc.ram" : "block-" + i, length, PAGE_BYTES, i == 0));
            memory[i] = new byte[(int) length];
            dirty[i] = new BitSet();
            dirty[i].set(0, pageCounts[i]);
        }
    }

    SessionHello hello(long lastAcked, long lastSent) {
        return new SessionHello(
                1,
                77,
                88,
                lastAcked,
                lastSent,
                0,
                300,
                2_000,
                uid(),
                gid(),
                blocks,
                disks,
                sharedDisks,
                vmName,
                "0.1",
                "7.2.22",
                "pc-q35-7.2",
                List.of("qemu-system-x86_64", "-m", "64"),
                "/",
                List.of(),
                HostIdentity.UNKNOWN);
    }

    static int uid() {
        return (int) id("unix:uid");
    }

    static int gid() {
        return (int) id("unix:gid");
    }

    private static Integer id(String attribute) {
        try {
            return (Integer) java.nio.file.Files.getAttribute(java.nio.file.Path.of("/proc/self"), attribute);
        } catch (java.io.IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
    }

    /** The guest runs for a while. */
    void run(int writes) {
        for (int i = 0; i < writes; i++) {
            int block = random.nextInt(10) == 0 ? random.nextInt(blocks.size()) : 0;
            int page = random.nextInt(blocks.get(block).pageCount());
            int at = page * PAGE_BYTES;
            switch (random.nextInt(4)) {
                case 0 -> Arrays.fill(memory[block], at, at + PAGE_BYTES, (byte) 0);
                case 1 -> Arrays.fill(memory[block], at, at + PAGE_BYTES, (byte) random.nextInt());
                default -> {
                    int offset = random.nextInt(PAGE_BYTES - 64);
                    for (int b = 0; b < 64; b++) {
                        memory[block][at + offset + b] = (byte) random.nextInt();
                    }
                }
            }
            dirty[block].set(page);
        }
    }

    /** Everything is to be sent. */
    void allDirty() {
        for (RamBlock block : blocks) {
            dirty[block.index()].set(0, block.pageCount());
        }
    }

    /** Sends what is dirty as the next epoch; the pages count as sent. */
    void send(EpochKind kind, Out out) throws LinkException {
        epoch++;
        CRC32C crc = new CRC32C();
        long pages = 0;
        long bytes = 0;
        out.send(messages.begin(epoch, kind));
        for (RamBlock block : blocks) {
            ByteArrayOutputStream batch = new ByteArrayOutputStream();
            int count = 0;
            BitSet set = dirty[block.index()];
            for (int page = set.nextSetBit(0); page >= 0; page = set.nextSetBit(page + 1)) {
                batch.writeBytes(encode(block.index(), page));
                count++;
                if (batch.size() > BATCH_BYTES_MAX || set.nextSetBit(page + 1) < 0) {
                    byte[] content = batch.toByteArray();
                    crc.update(content);
                    out.send(messages.batch(epoch, count, content, content.length));
                    pages += count;
                    bytes += content.length;
                    batch.reset();
                    count = 0;
                }
            }
            set.clear();
        }
        for (byte[] record : diskRecords) {
            crc.update(record);
            out.send(messages.batch(epoch, 1, record, record.length));
            pages++;
            bytes += record.length;
        }
        diskRecords.clear();
        byte[] state = kind == EpochKind.SYNC ? new byte[0] : deviceState(epoch);
        byte[] scrub = kind == EpochKind.SYNC ? new byte[0] : scrub();
        out.send(messages.end(epoch, kind, pages, bytes, (int) crc.getValue(), scrub, state));
    }

    static byte[] deviceState(long epoch) {
        byte[] state = new byte[3_000];
        new SplittableRandom(epoch).nextBytes(state);
        return state;
    }

    long hash() {
        long hash = 0;
        for (RamBlock block : blocks) {
            hash = hash * 31 + hash(memory[block.index()]);
        }
        return hash;
    }

    static long hash(byte[] content) {
        long hash = content.length;
        ByteBuffer buffer = ByteBuffer.wrap(content);
        for (int at = 0; at < content.length; at += PAGE_BYTES) {
            hash = hash * 1_000_003 + PageHash.of(buffer, at);
        }
        return hash;
    }

    byte[] encode(int block, int page) {
        return record(block, page, Arrays.copyOfRange(memory[block], page * PAGE_BYTES, (page + 1) * PAGE_BYTES));
    }

    static byte[] record(int block, int page, byte[] content) {
        Encoding encoding = Encoding.RAW;
        byte[] payload = content;
        if (Arrays.equals(content, new byte[PAGE_BYTES])) {
            encoding = Encoding.ZERO;
            payload = new byte[0];
        } else {
            byte[] packed = LZ4Factory.safeInstance().fastCompressor().compress(content);
            if (packed.length < PAGE_BYTES) {
                encoding = Encoding.LZ4;
                payload = packed;
            }
        }
        byte[] record = new byte[PageRecord.HEADER_BYTES + payload.length];
        PageRecord.header(new UnsafeBuffer(record), 0, block, encoding.code(), page, payload.length);
        System.arraycopy(payload, 0, record, PageRecord.HEADER_BYTES, payload.length);
        return record;
    }

    /** A disk's page that has the content of a page of memory. */
    static byte[] reference(int disk, int page, int block, int ofPage, byte[] content) {
        CRC32C crc = new CRC32C();
        crc.update(content);
        UnsafeBuffer record = new UnsafeBuffer(new byte[PageRecord.HEADER_BYTES + PageReference.BYTES]);
        PageRecord.header(record, 0, disk, Encoding.REFERENCE.code(), page, PageReference.BYTES);
        PageReference.put(record, PageRecord.HEADER_BYTES, block, ofPage, (int) crc.getValue());
        return record.byteArray();
    }

    private byte[] scrub() {
        int count = 8;
        ByteBuffer records = ByteBuffer.allocate(count * 16).order(ByteOrder.LITTLE_ENDIAN);
        for (int i = 0; i < count; i++) {
            int block = (int) ((epoch + i) % blocks.size());
            int page = (int) ((epoch * count + i) % blocks.get(block).pageCount());
            records.putShort((short) block).putShort((short) 0).putInt(page);
            records.putLong(PageHash.of(ByteBuffer.wrap(memory[block]), page * PAGE_BYTES));
        }
        return records.array();
    }

    static Out to(FrameChannel channel) {
        return message -> {
            channel.send(message.buffer(), 0, message.length());
            channel.flush();
        };
    }
}
