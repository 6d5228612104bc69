package io.lockstep.telemetry.inventory;

import java.util.Optional;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Reads an {@link InventorySource} again and again on a slow thread of its own, and keeps the last result. Any thread may ask.
 *
 * <p>Invariant: no caller ever waits for the hardware.
 */
public final class InventoryReader implements AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(InventoryReader.class);

    private final InventorySource source;
    private final long firstMs;
    private final long intervalMs;
    private final CountDownLatch closed = new CountDownLatch(1);
    private final Thread thread;
    private volatile Optional<Inventory> latest = Optional.empty();
    private boolean failed;

    /**
     * Begins.
     *
     * @param firstMs before the first reading, at least 0
     * @param intervalMs pause between two readings, at least 1
     */
    public InventoryReader(InventorySource source, long firstMs, long intervalMs) {
        this.source = source;
        this.firstMs = firstMs;
        this.intervalMs = intervalMs;
        thread = new Thread(this::run, "inventory");
        thread.setDaemon(true);
        thread.start();
    }

    /** The last inventory; empty until the first was read. */
    public Optional<Inventory> latest() {
        return latest;
    }

    /** Stops reading; a reading under way is not waited for. */
    @Override
    public void close() {
        closed.countDown();
        thread.interrupt();
    }

    private void run() {
        try {
            if (closed.await(firstMs, TimeUnit.MILLISECONDS)) {
                return;
            }
            do {
                read();
            } while (!closed.await(intervalMs, TimeUnit.MILLISECONDS));
        } catch (InterruptedException e) {
            // Only close() interrupts this thread; it ends here either way.
        }
    }

    private void read() {
        try {
            latest = Optional.of(source.read());
            failed = false;
        } catch (RuntimeException | LinkageError e) {
            // The hardware's description must never cost the VM's protection. Once per series of failures is enough.
            if (!failed) {
                LOG.warn("the inventory cannot be read: {}", e.toString());
            }
            failed = true;
        }
    }
}
