package io.lockstep.replication.disk;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What a next life of the agent finds. */
class CopyLedgerTest {
    @TempDir
    Path directory;

    @Test
    void shouldRememberOfTheSameVmAndForgetOfAnother() throws Exception {
        Path file = directory.resolve("copied");
        try (CopyLedger ledger = new CopyLedger(file, "vm 1", 2)) {
            assertThat(ledger.imagesId()).isZero();
            ledger.begin(7);
            ledger.reach(1, 4096);
            ledger.copied(1, 1024);
            ledger.copied(1, 512);
            ledger.serving(true);
        }
        try (CopyLedger ledger = new CopyLedger(file, "vm 1", 2)) {
            assertThat(ledger.imagesId()).isEqualTo(7);
            assertThat(ledger.copied(0)).isZero();
            assertThat(ledger.copied(1)).isEqualTo(1024);
            assertThat(ledger.reach(1)).isEqualTo(4096);
            assertThat(ledger.serving()).isTrue();
            ledger.begin(8);
            assertThat(ledger.copied(1)).isZero();
            assertThat(ledger.reach(1)).isZero();
        }
        try (CopyLedger ledger = new CopyLedger(file, "vm 2", 2)) {
            assertThat(ledger.imagesId()).isZero();
            ledger.delete();
        }
        assertThat(file).doesNotExist();
    }
}
