package io.lockstep.replication.disk;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class ReferenceWorthTest {
    private long referable;
    private long referred;
    private final ReferenceWorth worth = new ReferenceWorth(() -> referable, () -> referred);

    private boolean epoch(long pages, long found) {
        referable += pages;
        referred += found;
        worth.look();
        return worth.pay();
    }

    @Test
    void shouldWaitForMemoryWhileHalfOfThePagesAreFoundThere() {
        assertThat(worth.pay()).as("before anything is known").isTrue();
        for (int i = 0; i < 20; i++) {
            assertThat(epoch(100, 50)).isTrue();
        }
        boolean pays = true;
        for (int i = 0; i < 20; i++) {
            pays = epoch(100, 10);
        }
        assertThat(pays).as("a guest that now writes what is nowhere else").isFalse();
        for (int i = 0; i < 20; i++) {
            pays = epoch(100, 90);
        }
        assertThat(pays).as("and does no more").isTrue();
    }

    @Test
    void shouldForgetWhatWasLongAgo() {
        for (int i = 0; i < 1_000; i++) {
            epoch(1_000, 1_000);
        }
        int epochs = 0;
        while (epoch(1_000, 0)) {
            epochs++;
        }
        assertThat(epochs).isBetween(2, 10);
    }

    @Test
    void shouldKeepItsMindWhileNothingIsWritten() {
        epoch(100, 0);
        assertThat(worth.pay()).isFalse();
        for (int i = 0; i < 3; i++) {
            assertThat(epoch(0, 0)).isFalse();
        }
    }
}
