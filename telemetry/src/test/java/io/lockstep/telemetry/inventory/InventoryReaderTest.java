package io.lockstep.telemetry.inventory;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalLong;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class InventoryReaderTest {
    private static Inventory inventory(long wallMs) {
        Optional<String> none = Optional.empty();
        return new Inventory(
                wallMs,
                new Inventory.Board(none, none, none, none, none, none, none),
                new Inventory.Processor(none, none, none, 1, 1, 1, OptionalLong.empty()),
                1,
                List.of(),
                new Inventory.Sensors(OptionalDouble.empty(), List.of(), OptionalDouble.empty()),
                List.of(),
                List.of());
    }

    @Test
    void shouldNotMakeAnybodyWaitWhenTheHardwareIsSlow() {
        CountDownLatch answer = new CountDownLatch(1);
        InventorySource slow = () -> {
            try {
                answer.await();
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
            return inventory(7);
        };
        try (InventoryReader reader = new InventoryReader(slow, 0, 1)) {
            assertThat(reader.latest()).isEmpty();
            answer.countDown();
            await().atMost(Duration.ofSeconds(30)).until(() -> reader.latest().equals(Optional.of(inventory(7))));
        }
    }

    @Test
    void shouldKeepTheLastAndTryAgainWhenReadingFails() {
        AtomicInteger calls = new AtomicInteger();
        InventorySource source = () -> {
            int call = calls.incrementAndGet();
            if (call > 1 && call < 4) {
                throw new IllegalStateException("no sensors today");
            }
            return inventory(call);
        };
        try (InventoryReader reader = new InventoryReader(source, 0, 1)) {
            await().atMost(Duration.ofSeconds(30))
                    .until(() ->
                            reader.latest().filter(read -> read.wallMs() >= 4).isPresent());
        }
    }
}
