package io.lockstep.telemetry.watch;

import io.lockstep.telemetry.inventory.Inventory;
import io.lockstep.telemetry.inventory.InventoryReader;
import io.lockstep.telemetry.inventory.OshiInventory;
import java.util.Optional;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import oshi.SystemInfo;

/**
 * The host's inventory, read from the first time on that somebody asks: it takes some hundred milliseconds of processor time, which a host without
 * faults need not spend. Never waits: the first answers are empty. Any thread.
 */
public final class LazyInventory implements Supplier<Optional<Inventory>>, AutoCloseable {
    /** Modules do not come and go; what else is read may be some minutes old. */
    private static final long INTERVAL_MS = 600_000;

    /** A fault makes somebody ask. Meanwhile VMs may move because of it, and they need the processors more. */
    private static final long FIRST_MS = 3_000;

    private @Nullable InventoryReader reader;
    private boolean closed;

    @Override
    public synchronized Optional<Inventory> get() {
        if (reader == null && !closed) {
            reader = new InventoryReader(
                    () -> new OshiInventory(new SystemInfo().getHardware(), System::currentTimeMillis).read(),
                    FIRST_MS,
                    INTERVAL_MS);
        }
        return reader == null ? Optional.empty() : reader.latest();
    }

    @Override
    public synchronized void close() {
        closed = true;
        if (reader != null) {
            reader.close();
        }
    }
}
