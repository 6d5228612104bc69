package io.lockstep.telemetry.watch;

import io.lockstep.telemetry.health.HealthListener;
import io.lockstep.telemetry.health.HealthRules;
import io.lockstep.telemetry.inventory.Inventory;
import java.nio.file.Path;
import java.util.Optional;
import java.util.function.Supplier;

/**
 * What a {@link HardwareWatch} works with.
 *
 * @param healthFile where health is kept
 * @param inventory what is known of the host's modules; asked in the threads of the watch, must not wait
 * @param waking of the thread that the sources wake
 * @param asking of the thread that asks the others, and keeps the health
 */
public record WatchSetup(
        HostSources sources,
        HealthRules rules,
        Path healthFile,
        Supplier<Optional<Inventory>> inventory,
        HealthListener listener,
        WatchRounds waking,
        WatchRounds asking) {
    /** One whose rounds nobody follows. */
    public WatchSetup(
            HostSources sources,
            HealthRules rules,
            Path healthFile,
            Supplier<Optional<Inventory>> inventory,
            HealthListener listener) {
        this(sources, rules, healthFile, inventory, listener, WatchRounds.IGNORED, WatchRounds.IGNORED);
    }

    /** The same, whose threads tell how regularly they come round. */
    public WatchSetup told(WatchRounds ofWaking, WatchRounds ofAsking) {
        return new WatchSetup(sources, rules, healthFile, inventory, listener, ofWaking, ofAsking);
    }
}
