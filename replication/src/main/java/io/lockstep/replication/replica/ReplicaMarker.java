package io.lockstep.replication.replica;

import io.lockstep.linux.FileRange;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.zip.CRC32C;
import org.agrona.BufferUtil;

/**
 * What the replica's files hold, in a file beside them. It has two slots of a page each, written in turn, so that the older stays whole
 * while the newer is written; the valid one with the higher sequence counts. Little endian:
 *
 * <pre>
 *   0          4        6        8           16        24       32        40      48            56           64       68
 *   +----------+--------+--------+-----------+---------+--------+---------+-------+-------------+------------+--------+
 *   |'LSRS' u32|vers u16|flags   |sequence   |bootId    128 bit |vmId    128 bit  |epoch        |deltaEpoch  |endIndex|
 *   |          |        |u16     |u64        |                  |                 |i64          |i64         |i64, crc|
 *   +----------+--------+--------+-----------+------------------+-----------------+-------------+------------+--------+
 * </pre>
 *
 * Each change is one pwrite(2) of less than a page: a kill of this process leaves it done or not done. One thread at a time; writing
 * allocates nothing.
 */
final class ReplicaMarker implements AutoCloseable {
    /** A DELTA epoch was applied since the first page of a full copy: the files hold every page. */
    static final int BASELINE = 1;

    /** Pages of a SYNC epoch were written since the last DELTA epoch was applied: the files hold no consistent state. */
    static final int SYNCING = 2;

    /** A DELTA epoch is being applied: it must be applied again, from its beginning. */
    static final int APPLYING = 4;

    private static final int MAGIC = 0x5352534c; // "LSRS" in memory order
    private static final int VERSION = 1;
    private static final int SLOT_BYTES = 4096;
    private static final int RECORD_BYTES = 76;
    private static final int CRC_OFFSET = RECORD_BYTES - 4;

    private final FileRange file;
    private final ByteBuffer record = BufferUtil.allocateDirectAligned(128, 64).order(ByteOrder.LITTLE_ENDIAN);
    private final long address = BufferUtil.address(record);
    private final CRC32C crc = new CRC32C();
    private long sequence;
    private long bootIdHigh;
    private long bootIdLow;
    private long vmIdHigh;
    private long vmIdLow;
    private int flags;
    private long epoch = -1;
    private long deltaEpoch = -1;
    private long endIndex = -1;

    private ReplicaMarker(FileRange file) {
        this.file = file;
    }

    /** Its path in the directory of the memory files. */
    static Path path(Path directory) {
        return directory.resolve("state");
    }

    /** Makes one for empty files. */
    static ReplicaMarker create(Path directory, long vmIdHigh, long vmIdLow, BootId boot) throws IOException {
        Path path = path(directory);
        Files.deleteIfExists(path);
        ReplicaMarker marker = new ReplicaMarker(FileRange.create(path, 2L * SLOT_BYTES));
        marker.bootIdHigh = boot.high();
        marker.bootIdLow = boot.low();
        marker.vmIdHigh = vmIdHigh;
        marker.vmIdLow = vmIdLow;
        marker.write();
        return marker;
    }

    /**
     * Opens that of an earlier process.
     *
     * @throws IOException if it is missing or neither slot is valid
     */
    static ReplicaMarker open(Path directory) throws IOException {
        Path path = path(directory);
        ReplicaMarker marker = new ReplicaMarker(FileRange.open(path, true));
        boolean first = marker.load(0);
        long firstSequence = marker.sequence;
        boolean second = marker.load(1);
        if (first && (!second || firstSequence > marker.sequence)) {
            marker.load(0);
        } else if (!second) {
            marker.close();
            throw new IOException("no valid state in " + path);
        }
        return marker;
    }

    /** Whether the files are of this boot of the host and this VM process. */
    boolean matches(long high, long low, BootId boot) {
        return vmIdHigh == high && vmIdLow == low && bootIdHigh == boot.high() && bootIdLow == boot.low();
    }

    boolean is(int flag) {
        return (flags & flag) != 0;
    }

    /** Last epoch, of either kind, that is in the files whole; -1 if none. */
    long epoch() {
        return epoch;
    }

    /** Last DELTA epoch that was applied; -1 if none. */
    long deltaEpoch() {
        return deltaEpoch;
    }

    /** Journal index of that epoch's EpochEnd. */
    long endIndex() {
        return endIndex;
    }

    /** A SYNC epoch begins to write pages. */
    void syncing() throws IOException {
        if (!is(SYNCING)) {
            flags |= SYNCING;
            write();
        }
    }

    /** A SYNC epoch is whole in the files. */
    void synced(long syncEpoch) throws IOException {
        epoch = syncEpoch;
        write();
    }

    /** A DELTA epoch begins to be applied. */
    void applying() throws IOException {
        flags |= APPLYING;
        write();
    }

    /** A DELTA epoch is whole in the files. */
    void applied(long appliedEpoch, long journalEndIndex) throws IOException {
        flags = BASELINE;
        epoch = appliedEpoch;
        deltaEpoch = appliedEpoch;
        endIndex = journalEndIndex;
        write();
    }

    @Override
    public void close() {
        file.close();
    }

    private void write() throws IOException {
        sequence++;
        record.clear();
        record.putInt(MAGIC).putShort((short) VERSION).putShort((short) flags).putLong(sequence);
        record.putLong(bootIdHigh).putLong(bootIdLow).putLong(vmIdHigh).putLong(vmIdLow);
        record.putLong(epoch).putLong(deltaEpoch).putLong(endIndex);
        record.putInt(CRC_OFFSET, checksum());
        // SAFETY: the record is this object's and longer than RECORD_BYTES.
        file.write(address, RECORD_BYTES, (sequence & 1) * SLOT_BYTES);
    }

    private boolean load(int slot) throws IOException {
        // SAFETY: as in write().
        if (file.read(address, RECORD_BYTES, (long) slot * SLOT_BYTES) != RECORD_BYTES) {
            return false;
        }
        record.clear();
        if (record.getInt() != MAGIC || record.getShort() != VERSION || record.getInt(CRC_OFFSET) != checksum()) {
            return false;
        }
        flags = record.getShort(6);
        sequence = record.getLong(8);
        bootIdHigh = record.getLong(16);
        bootIdLow = record.getLong(24);
        vmIdHigh = record.getLong(32);
        vmIdLow = record.getLong(40);
        epoch = record.getLong(48);
        deltaEpoch = record.getLong(56);
        endIndex = record.getLong(64);
        return true;
    }

    private int checksum() {
        int position = record.position();
        record.limit(CRC_OFFSET).position(0);
        crc.reset();
        crc.update(record);
        record.clear().position(position);
        return (int) crc.getValue();
    }

    /** One boot of a host: tmpfs content does not outlive it; {@code /proc/sys/kernel/random/boot_id}. */
    record BootId(long high, long low) {
        static BootId current() throws IOException {
            String text = Files.readString(Path.of("/proc/sys/kernel/random/boot_id"), StandardCharsets.US_ASCII);
            java.util.UUID id = java.util.UUID.fromString(text.trim());
            return new BootId(id.getMostSignificantBits(), id.getLeastSignificantBits());
        }
    }
}
