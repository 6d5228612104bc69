package io.lockstep.agent.daemon;

import io.lockstep.agent.AgentPaths;
import io.lockstep.agent.config.AgentConfig;
import io.lockstep.agent.events.AgentEvent;
import io.lockstep.agent.events.EventLog;
import io.lockstep.agent.view.HardwareEventView;
import io.lockstep.agent.view.HardwareView;
import io.lockstep.replication.LockstepException;
import io.lockstep.telemetry.event.Component;
import io.lockstep.telemetry.event.HardwareEvent;
import io.lockstep.telemetry.source.GuestSource;
import io.lockstep.telemetry.watch.HardwareWatch;
import io.lockstep.telemetry.watch.HostSources;
import io.lockstep.telemetry.watch.LazyInventory;
import io.lockstep.telemetry.watch.SeenEvent;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;

/** The hardware of this host, as the daemon watches it and shows it. Any thread. */
final class Hardware implements AutoCloseable {
    private final AgentConfig config;
    private final HardwarePolicy policy;
    private final LazyInventory inventory = new LazyInventory();
    private final HardwareWatch watch;

    /**
     * Starts to watch.
     *
     * @param state directory of our own that outlives restarts; must exist
     * @param sources which are closed with this
     * @param policy which is closed with this
     * @param events where changes of health are published
     */
    Hardware(AgentConfig config, Path state, HostSources sources, HardwarePolicy policy, EventLog events) {
        this.config = config;
        this.policy = policy;
        watch = HardwareWatch.start(
                sources, config.hardware().rules(), state.resolve("health"), inventory, (health, before) -> {
                    events.publish(
                            AgentEvent.HARDWARE,
                            health.component().words(),
                            health.state().words(),
                            health.evidence().isEmpty()
                                    ? ""
                                    : health.evidence().get(health.evidence().size() - 1));
                    policy.changed(health, before);
                });
    }

    /** Watches the host that this runs on. */
    static Hardware ofThisHost(
            AgentPaths paths, AgentConfig config, HardwarePolicy policy, GuestSource guests, EventLog events)
            throws LockstepException {
        Path state = paths.state().resolve("hardware");
        try {
            Files.createDirectories(state);
        } catch (IOException e) {
            throw new LockstepException(
                    "directories-not-writable", "cannot make " + state + ": " + e + ". Correct its owner or mode.", e);
        }
        boolean installed = paths.root().getNameCount() == 0;
        // Agents under a root of their own come and go: their instances must not stay in the kernel.
        String instance = installed
                ? "lockstep"
                : "lockstep-" + Integer.toHexString(paths.root().hashCode());
        return new Hardware(
                config,
                state,
                HostSources.ofThisHost(state, instance, installed, config.sensors())
                        .and(guests),
                policy,
                events);
    }

    /** How it fares. */
    HardwareView view() {
        return new HardwareView(
                watch.state().words(),
                watch.health().stream()
                        .map(h -> new HardwareView.Part(
                                h.component().words(),
                                h.state().words(),
                                h.sinceMs(),
                                h.lastMs(),
                                h.corrected(),
                                h.uncorrected(),
                                h.evidence(),
                                h.action()))
                        .toList(),
                watch.modules().stream().map(Component.Memory::words).toList(),
                watch.sourceStates().entrySet().stream()
                        .map(s -> new HardwareView.Source(
                                s.getKey(),
                                s.getValue().status().name().toLowerCase(Locale.ROOT),
                                s.getValue().detail(),
                                s.getValue().cure(),
                                s.getValue().events(),
                                s.getValue().lost()))
                        .toList(),
                config.hardware().switchover(),
                policy.actions());
    }

    /** The newest events after a sequence number, oldest first. */
    List<HardwareEventView> events(long after, int limit) {
        return watch.events(after, limit).stream().map(Hardware::view).toList();
    }

    private static HardwareEventView view(SeenEvent seen) {
        HardwareEvent event = seen.event();
        return new HardwareEventView(
                seen.sequence(),
                event.wallMs(),
                event.kind().name().toLowerCase(Locale.ROOT),
                event.severity().name().toLowerCase(Locale.ROOT),
                event.component().words(),
                event.address() == HardwareEvent.NO_ADDRESS ? null : "0x" + Long.toHexString(event.address()),
                event.count(),
                event.source(),
                event.line(),
                event.raw().words(),
                seen.refined());
    }

    /** Forgets the parts whose name holds a text; how many. */
    int clear(String part) {
        return watch.clear(component -> component.words().contains(part));
    }

    @Override
    public void close() {
        policy.close();
        watch.close();
        inventory.close();
    }
}
