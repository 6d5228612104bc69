package io.lockstep.telemetry.inventory;

/** Reads the host's inventory. */
@FunctionalInterface
public interface InventorySource {
    /** Reads everything anew; takes up to seconds, so not for a thread that anybody waits for. Never throws for what is missing. */
    Inventory read();
}
