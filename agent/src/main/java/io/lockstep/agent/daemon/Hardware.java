package io.lockstep.agent.daemon;

import io.lockstep.agent.AgentPaths;
import io.lockstep.agent.config.AgentConfig;
import io.lockstep.agent.events.AgentEvent;
import io.lockstep.agent.events.EventLog;
import io.lockstep.agent.policy.ActionLog;
import io.lockstep.agent.policy.HardwarePolicy;
import io.lockstep.agent.policy.HostHealth;
import io.lockstep.agent.policy.MovableVm;
import io.lockstep.agent.view.HardwareEventView;
import io.lockstep.agent.view.HardwareSummary;
import io.lockstep.agent.view.HardwareView;
import io.lockstep.replication.DutyCycle;
import io.lockstep.replication.LockstepException;
import io.lockstep.replication.hypervisor.QemuFinder;
import io.lockstep.telemetry.event.Component;
import io.lockstep.telemetry.event.HardwareEvent;
import io.lockstep.telemetry.health.ComponentHealth;
import io.lockstep.telemetry.health.HealthListener;
import io.lockstep.telemetry.health.HealthState;
import io.lockstep.telemetry.source.GuestSource;
import io.lockstep.telemetry.watch.HardwareWatch;
import io.lockstep.telemetry.watch.HostSources;
import io.lockstep.telemetry.watch.LazyInventory;
import io.lockstep.telemetry.watch.SeenEvent;
import io.lockstep.telemetry.watch.WatchSetup;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/** The hardware of this host, as the daemon watches it, acts on it and shows it. Any thread. */
final class Hardware implements AutoCloseable {
    /** Parts and actions in the summary. */
    private static final int PARTS_MAX = 8;

    private static final int ACTIONS_MAX = 16;

    /** Baseboard controllers and sensors take a second or two; one round of asking them is due every five. */
    private static final long ASKING_STALL_NS = 5_000_000_000L;

    private final AgentConfig.Hardware settings;
    private final ActionLog log;
    private final HardwarePolicy policy;
    private final HardwareDrill drill;
    private final LazyInventory inventory = new LazyInventory();
    private final DutyCycle waking = DutyCycle.idle();
    private final DutyCycle asking = DutyCycle.idle(ASKING_STALL_NS);
    private volatile @Nullable HardwareWatch watch;

    private Hardware(
            AgentConfig config,
            Path state,
            HostHealth health,
            ActionLog log,
            Supplier<? extends List<? extends MovableVm>> vms) {
        settings = config.hardware();
        this.log = log;
        drill = new HardwareDrill(state);
        policy = new HardwarePolicy(
                config, Path.of("/sys"), health, log, this::health, vms, () -> new QemuFinder().all());
    }

    /**
     * Watches the host that this runs on.
     *
     * @param health is kept up to date
     * @param vms those that run here and are protected now
     */
    static Hardware ofThisHost(
            AgentPaths paths,
            AgentConfig config,
            HostHealth health,
            ActionLog log,
            Supplier<? extends List<? extends MovableVm>> vms,
            GuestSource guests,
            EventLog events)
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
        Hardware hardware = new Hardware(config, state, health, log, vms);
        hardware.watch = HardwareWatch.start(new WatchSetup(
                        HostSources.ofThisHost(
                                        state,
                                        paths.run().resolve("hardware-trace"),
                                        instance,
                                        installed,
                                        config.sensors())
                                .and(guests),
                        config.hardware().rules(),
                        state.resolve("health"),
                        hardware.inventory,
                        new Listener(events, hardware.policy))
                .told(hardware.waking::mark, hardware.asking::mark));
        // The health of an earlier life counts, too.
        hardware.policy.refresh();
        return hardware;
    }

    /** Publishes changes of health, and hands all on. */
    private record Listener(EventLog events, HealthListener next) implements HealthListener {
        @Override
        public void changed(ComponentHealth health, HealthState before) {
            events.publish(
                    AgentEvent.HARDWARE,
                    health.component().words(),
                    health.state().words(),
                    health.evidence().isEmpty()
                            ? ""
                            : health.evidence().get(health.evidence().size() - 1));
            next.changed(health, before);
        }

        @Override
        public void noticed(HardwareEvent event, ComponentHealth health, HealthState before, boolean pageWorn) {
            next.noticed(event, health, before, pageWorn);
        }
    }

    /** How regularly its threads come round: {@code hardware}, {@code hardware-slow}. */
    Map<String, DutyCycle> rounds() {
        return Map.of("hardware", waking, "hardware-slow", asking);
    }

    private List<ComponentHealth> health() {
        HardwareWatch started = watch;
        return started == null ? List.of() : started.health();
    }

    private HardwareWatch watch() {
        HardwareWatch started = watch;
        if (started == null) {
            throw new IllegalStateException("the watch has not started");
        }
        return started;
    }

    /** How it fares. */
    HardwareView view() {
        HardwareWatch now = watch();
        List<ComponentHealth> health = now.health();
        return new HardwareView(
                now.state().words(),
                drill.present(),
                health.stream().map(Hardware::part).toList(),
                modules(now.modules(), health),
                now.sourceStates().entrySet().stream()
                        .map(s -> new HardwareView.Source(
                                s.getKey(),
                                s.getValue().status().name().toLowerCase(Locale.ROOT),
                                s.getValue().detail(),
                                s.getValue().cure(),
                                s.getValue().events(),
                                s.getValue().lost()))
                        .toList(),
                new HardwareView.Policy(
                        settings.switchover(),
                        settings.switchoverState().words(),
                        settings.refuseNew(),
                        settings.offlinePages(),
                        settings.offlineCpus(),
                        settings.runCommand()),
                log.actions());
    }

    /** What of it matters to the VMs; costs next to nothing. */
    HardwareSummary summary() {
        List<HardwareView.Action> actions = log.actions();
        return new HardwareSummary(
                watch().state().words(),
                drill.present(),
                health().stream()
                        .filter(part -> part.state() != HealthState.HEALTHY)
                        .limit(PARTS_MAX)
                        .map(Hardware::part)
                        .toList(),
                actions.subList(Math.max(0, actions.size() - ACTIONS_MAX), actions.size()));
    }

    private static HardwareView.Part part(ComponentHealth h) {
        return new HardwareView.Part(
                h.component().words(),
                h.state().words(),
                h.sinceMs(),
                h.lastMs(),
                h.corrected(),
                h.uncorrected(),
                h.evidence(),
                h.action());
    }

    /** The modules that are known, and those to which something happened. */
    static List<HardwareView.Module> modules(List<Component.Memory> known, List<ComponentHealth> health) {
        Map<Component, @Nullable ComponentHealth> all = new LinkedHashMap<>();
        known.forEach(module -> all.put(module, null));
        for (ComponentHealth part : health) {
            if (part.component() instanceof Component.Memory memory && memory.oneModule()) {
                all.put(memory, part);
            }
        }
        return all.entrySet().stream()
                .map(entry -> module((Component.Memory) entry.getKey(), entry.getValue()))
                .toList();
    }

    private static HardwareView.Module module(Component.Memory m, @Nullable ComponentHealth health) {
        return new HardwareView.Module(
                m.words(),
                m.label(),
                m.socket(),
                m.controller(),
                m.channel(),
                m.dimm(),
                m.bytes(),
                m.serial(),
                (health == null ? HealthState.HEALTHY : health.state()).words(),
                health == null ? 0 : health.corrected(),
                health == null ? 0 : health.uncorrected());
    }

    /** Feeds recorded events as if they happened now. */
    HardwareView.Drill drill(String name, byte[] recording) throws LockstepException {
        return drill.run(watch(), name, recording);
    }

    /** The newest events after a sequence number, oldest first. */
    List<HardwareEventView> events(long after, int limit) {
        return watch().events(after, limit).stream().map(Hardware::view).toList();
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

    /** Forgets the parts whose name holds a text, and with all of them the drill; how many. */
    int clear(String part) {
        int cleared = drill.clear(part.isEmpty(), () -> watch().clear(
                        component -> component.words().contains(part)));
        policy.cleared();
        return cleared;
    }

    @Override
    public void close() {
        policy.close();
        watch().close();
        inventory.close();
    }
}
