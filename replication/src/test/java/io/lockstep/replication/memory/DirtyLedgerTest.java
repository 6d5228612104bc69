package io.lockstep.replication.memory;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.lockstep.linux.ProcessIdentity;
import io.lockstep.replication.RamBlock;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DirtyLedgerTest {
    private static final long BASE = 0x10_0000;
    private static final List<MemoryRegion> REGIONS =
            List.of(new MemoryRegion(new RamBlock(0, "pc.ram", 640 * 4096, 4096, true), BASE));
    private static final PageIndex INDEX = new PageIndex(REGIONS);

    @TempDir
    Path directory;

    private DirtyLedger open(String vmId) throws IOException {
        LedgerIdentity identity = new LedgerIdentity(vmId, new ProcessIdentity(42, 4711), REGIONS);
        return DirtyLedger.open(directory.resolve("ledger"), identity, INDEX, 3, 16);
    }

    private static void scan(DirtyLedger ledger, long epoch, int... pages) {
        ledger.beginScan(epoch);
        for (int page : pages) {
            ledger.sink().add(BASE + page * 4096L, BASE + (page + 1) * 4096L);
        }
        assertThat(ledger.endScan(epoch).cardinality()).isEqualTo(pages.length);
    }

    private static int[] pending(DirtyLedger ledger) {
        PageBitmap pages = new PageBitmap(INDEX.limit());
        ledger.pending(pages);
        int[] found = new int[pages.cardinality()];
        for (int i = 0, page = pages.nextSet(0); page < pages.limit(); page = pages.nextSet(page + 1)) {
            found[i++] = page;
        }
        return found;
    }

    @Test
    void shouldForgetPagesOnlyWhenTheirEpochIsAcknowledged() throws Exception {
        try (DirtyLedger ledger = open("vm")) {
            assertThat(ledger.recovered()).isFalse();
            scan(ledger, 10, 1, 2);
            scan(ledger, 11, 2, 3);
            scan(ledger, 12, 4);
            assertThat(ledger.hasFreeSlot()).isFalse();
            assertThat(pending(ledger)).containsExactly(1, 2, 3, 4);
            ledger.acked(10);
            assertThat(pending(ledger)).containsExactly(2, 3, 4);
            assertThat(ledger.hasFreeSlot()).isTrue();
            ledger.acked(12);
            assertThat(pending(ledger)).isEmpty();
        }
    }

    @Test
    void shouldKeepEverythingWhenOpenedAgain() throws Exception {
        try (DirtyLedger ledger = open("vm")) {
            scan(ledger, 0, 5);
            ledger.beginScan(1);
            ledger.sink().add(BASE + 7 * 4096, BASE + 9 * 4096);
        }
        try (DirtyLedger ledger = open("vm")) {
            assertThat(ledger.recovered()).isTrue();
            assertThat(pending(ledger)).containsExactly(5, 7, 8);
            ledger.acked(0);
            assertThat(pending(ledger)).containsExactly(7, 8);
            ledger.beginScan(9);
            ledger.carryPending();
            ledger.add(600, 602);
            PageBitmap pages = ledger.endScan(9);
            assertThat(pages.cardinality()).isEqualTo(4);
            ledger.acked(8);
            assertThat(pending(ledger)).containsExactly(7, 8, 600, 601);
            ledger.acked(9);
            assertThat(pending(ledger)).isEmpty();
        }
    }

    @Test
    void shouldHaveRoomForAnEpochWhenAllThatWereInFlightAreGathered() throws Exception {
        try (DirtyLedger ledger = open("vm")) {
            scan(ledger, 0, 1);
            scan(ledger, 1, 2);
            scan(ledger, 2, 3);
        }
        try (DirtyLedger ledger = open("vm")) {
            assertThat(ledger.hasFreeSlot()).isFalse();
            ledger.acked(0);
            ledger.gather();
            assertThat(pending(ledger)).containsExactly(2, 3);
            assertThat(ledger.hasFreeSlot()).isTrue();
            ledger.beginScan(1);
            ledger.carryPending();
            assertThat(ledger.endScan(1).cardinality()).isEqualTo(2);
            ledger.acked(1);
            assertThat(pending(ledger)).isEmpty();
        }
    }

    @Test
    void shouldTakeRangesFromVectorWhenAgentDiedBeforeBookkeeping() throws Exception {
        open("vm").close();
        writeVector(3, BASE + 4096, BASE + 3 * 4096);
        writeVector(15, BASE + 20 * 4096, BASE + 21 * 4096);
        try (DirtyLedger ledger = open("vm")) {
            assertThat(pending(ledger)).containsExactly(1, 2, 20);
        }
        try (DirtyLedger ledger = open("vm")) {
            assertThat(pending(ledger)).containsExactly(1, 2, 20);
            ledger.beginScan(1);
            ledger.carryPending();
            ledger.endScan(1);
            ledger.acked(1);
            assertThat(pending(ledger)).isEmpty();
        }
    }

    @Test
    void shouldStartAfreshWhenIdentityOrMagicDiffers() throws Exception {
        try (DirtyLedger ledger = open("vm")) {
            scan(ledger, 0, 5);
        }
        try (DirtyLedger ledger = open("other")) {
            assertThat(ledger.recovered()).isFalse();
            assertThat(pending(ledger)).isEmpty();
            scan(ledger, 0, 6);
        }
        try (FileChannel file = FileChannel.open(directory.resolve("ledger"), StandardOpenOption.WRITE)) {
            file.write(ByteBuffer.allocate(8), 0);
        }
        try (DirtyLedger ledger = open("other")) {
            assertThat(ledger.recovered()).isFalse();
            assertThat(pending(ledger)).isEmpty();
        }
    }

    @Test
    void shouldRefuseWhenSlotsAreFullOrEpochIsNotOpen() throws Exception {
        try (DirtyLedger ledger = open("vm")) {
            assertThatThrownBy(() -> ledger.sink().add(BASE, BASE + 4096)).hasMessage("no epoch is being scanned");
            scan(ledger, 0);
            scan(ledger, 1);
            ledger.beginScan(2);
            assertThatThrownBy(() -> ledger.sink().add(4096, 8192))
                    .hasMessage("written range 0x1000..0x2000 is in no RAM block");
            assertThatThrownBy(() -> ledger.endScan(3)).hasMessage("epoch 3 is not being scanned");
            assertThatThrownBy(() -> ledger.acked(2)).hasMessage("epoch 2 acknowledged while it is being scanned");
            ledger.endScan(2);
            assertThatThrownBy(() -> ledger.beginScan(3)).hasMessage("no free slot for epoch 3: 3 epochs in flight");
            ledger.reset();
            assertThat(ledger.hasFreeSlot()).isTrue();
        }
    }

    @Test
    void shouldRefuseWhenInUseAndVanishWhenDeleted() throws Exception {
        DirtyLedger ledger = open("vm");
        assertThatThrownBy(() -> open("vm"))
                .isInstanceOf(IOException.class)
                .hasMessage("dirty ledger " + directory.resolve("ledger") + " is in use by this process");
        ledger.delete();
        assertThat(Files.exists(directory.resolve("ledger"))).isFalse();
    }

    private void writeVector(int entry, long start, long end) throws IOException {
        ByteBuffer range = ByteBuffer.allocate(16).order(ByteOrder.LITTLE_ENDIAN);
        range.putLong(start).putLong(end).flip();
        try (FileChannel file = FileChannel.open(directory.resolve("ledger"), StandardOpenOption.WRITE)) {
            file.write(range, 4096 + entry * 24L);
        }
    }
}
