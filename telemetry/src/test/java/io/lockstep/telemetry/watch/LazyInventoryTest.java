package io.lockstep.telemetry.watch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import java.time.Duration;
import org.junit.jupiter.api.Test;

class LazyInventoryTest {
    @Test
    void shouldReadThisHostOnceSomebodyAsks() {
        try (LazyInventory inventory = new LazyInventory()) {
            assertThat(inventory.get()).isEmpty();
            await().atMost(Duration.ofSeconds(60)).until(() -> inventory.get().isPresent());
        }
    }

    @Test
    void shouldReadNothingAfterItsEnd() {
        LazyInventory inventory = new LazyInventory();
        inventory.close();
        assertThat(inventory.get()).isEmpty();
    }
}
