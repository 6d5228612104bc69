package io.lockstep.agent.policy;

import io.lockstep.agent.config.AgentConfig;
import io.lockstep.agent.events.EventLog;
import io.lockstep.agent.policy.ActionLog.Outcome;
import io.lockstep.replication.LockstepException;
import io.lockstep.replication.link.ReportedHealth;
import io.lockstep.telemetry.event.Component;
import io.lockstep.telemetry.health.ComponentHealth;
import io.lockstep.telemetry.health.HealthState;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Moves the protected VMs away while this host fares so badly that it may fail, those of the highest priority first. Invariants:
 *
 * <ul>
 *   <li>A VM moves from worse to better alone: to a peer that has said, within its failure timeout, that its hardware is in a better state than this
 *       host's. A peer that is the sicker host, or as sick, or of which nothing is known, gets nothing.
 *   <li>What keeps a VM here is looked at again every second, so that it moves as soon as nothing does; each reason is told once.
 * </ul>
 *
 * <p>A thread of its own, on which nothing else waits.
 */
final class Evacuation implements AutoCloseable {
    static final String ACTION = "switchover";

    private static final Logger LOG = LoggerFactory.getLogger(Evacuation.class);
    private static final long LOOK_MS = 1_000;
    private static final long RETRY_MS_MIN = 2_000;
    private static final long RETRY_MS_MAX = 60_000;

    private final AgentConfig config;
    private final HostHealth health;
    private final ActionLog log;
    private final Supplier<? extends List<? extends MovableVm>> vms;
    private final Runnable fresh;
    private final Runnable moved;
    private final Map<String, String> told = new HashMap<>();
    private final Map<String, Retry> retries = new HashMap<>();
    private final AtomicBoolean woken = new AtomicBoolean();
    private final ScheduledExecutorService thread = Executors.newSingleThreadScheduledExecutor(work -> {
        Thread made = new Thread(work, "hardware-switchover");
        made.setDaemon(true);
        return made;
    });

    /** When a move that failed is tried again, and how long to wait after the next failure. */
    private record Retry(long atNs, long nextMs) {}

    /**
     * @param vms those that run here and are protected now
     * @param fresh brings the health up to date; is run on this object's thread when it is woken, which spares the wait for another one
     * @param moved is run on this object's thread after each VM that has left
     */
    Evacuation(
            AgentConfig config,
            HostHealth health,
            ActionLog log,
            Supplier<? extends List<? extends MovableVm>> vms,
            Runnable fresh,
            Runnable moved) {
        this.config = config;
        this.health = health;
        this.log = log;
        this.vms = vms;
        this.fresh = fresh;
        this.moved = moved;
        var unused = thread.scheduleWithFixedDelay(this::look, LOOK_MS, LOOK_MS, TimeUnit.MILLISECONDS);
    }

    /**
     * Moves a VM that is none, so that the first one that must move does not wait until what that needs is loaded, which took 50 ms. Nobody hears of
     * it.
     */
    static void rehearse(AgentConfig config) {
        HostHealth failing = new HostHealth();
        failing.update(List.of(new ComponentHealth(
                new Component.Host("rehearsal"), HealthState.FAILED, 0, 0, 0, 1, List.of("rehearsal"), "")));
        ActionLog unheard = new ActionLog(new EventLog(1, 0), line -> {});
        List<Rehearsed> two = List.of(new Rehearsed("one"), new Rehearsed("other"));
        try (Evacuation rehearsal = new Evacuation(config, failing, unheard, () -> two, () -> {}, () -> {})) {
            rehearsal.look();
        }
    }

    private record Rehearsed(String name) implements MovableVm {
        @Override
        public String peer() {
            return "";
        }

        @Override
        public String obstacle() {
            return "";
        }

        @Override
        public boolean runsHere() {
            return true;
        }

        @Override
        public int peerHealth() {
            return HealthState.HEALTHY.code();
        }

        @Override
        public CompletableFuture<?> move() {
            return CompletableFuture.completedFuture(name);
        }
    }

    /** Looks at once: the host fares otherwise. Returns at once; any thread. */
    void wake() {
        if (!thread.isShutdown() && woken.compareAndSet(false, true)) {
            thread.execute(() -> {
                woken.set(false);
                fresh.run();
                look();
            });
        }
    }

    private void look() {
        try {
            if (reason() == null) {
                told.clear();
                retries.clear();
                return;
            }
            List<MovableVm> all = vms.get().stream()
                    .map(MovableVm.class::cast)
                    .sorted(Comparator.comparingInt(
                                    (MovableVm vm) -> config.vm(vm.name()).priority())
                            .reversed()
                            .thenComparing(MovableVm::name))
                    .toList();
            for (MovableVm vm : all) {
                // It may have been cleared while those before were moved.
                ComponentHealth worst = reason();
                if (worst != null) {
                    consider(vm, worst);
                }
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } catch (RuntimeException e) {
            // The next look must come: this is what moves VMs from a dying host.
            LOG.error("the hardware's policy failed", e);
        }
    }

    /** The part that fares so badly that VMs leave; null if none does. */
    private @Nullable ComponentHealth reason() {
        ComponentHealth worst = health.worst();
        return worst == null || worst.state().compareTo(config.hardware().switchoverState()) < 0 ? null : worst;
    }

    private void consider(MovableVm vm, ComponentHealth worst) throws InterruptedException {
        String name = vm.name();
        String obstacle = vm.obstacle();
        if (!vm.runsHere()) {
            // It was moved or died a moment ago, and will soon be gone from the list: that may be the obstacle.
            return;
        }
        String why = Reason.of(worst);
        String mode = config.hardware().switchover();
        if (mode.equals("off")) {
            tell(vm, worst, Outcome.OFF, "", name + " is not switched over, as configured: " + why);
            return;
        }
        int there = vm.peerHealth();
        String peer = vm.peer() + ", which is " + HostHealth.words(there);
        if (there == ReportedHealth.UNKNOWN) {
            String unknown = name + " stays: its peer " + vm.peer() + " has not said how its hardware fares; " + why;
            tell(vm, worst, Outcome.REFUSED, peer, unknown);
        } else if (there >= worst.state().code()) {
            String sick = name + " stays: its peer " + peer + ", is no better than this host; " + why;
            tell(vm, worst, Outcome.REFUSED, peer, sick);
        } else if (mode.equals("dry-run")) {
            tell(vm, worst, Outcome.DRY_RUN, peer, "would switch " + name + " over to " + peer + ": " + why);
        } else if (!obstacle.isEmpty()) {
            String waits = name + " cannot be switched over yet, " + obstacle + ": " + why;
            tell(vm, worst, Outcome.REFUSED, obstacle, waits);
        } else {
            move(vm, peer, why);
        }
    }

    private void move(MovableVm vm, String peer, String why) throws InterruptedException {
        String name = vm.name();
        Retry retry = retries.get(name);
        if (retry != null && System.nanoTime() - retry.atNs < 0) {
            return;
        }
        CompletableFuture<?> move = vm.move();
        // It moves while this is written.
        log.note(ACTION, name, Outcome.STARTED, "switching " + name + " over to " + peer + ": " + why);
        try {
            await(move);
            log.note(ACTION, name, Outcome.DONE, name + " runs on " + vm.peer() + " now: " + why);
            retries.remove(name);
            told.remove(name);
            moved.run();
        } catch (LockstepException e) {
            long waitMs = retry == null ? RETRY_MS_MIN : retry.nextMs;
            retries.put(
                    name,
                    new Retry(
                            System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(waitMs),
                            Math.min(RETRY_MS_MAX, 2 * waitMs)));
            log.note(
                    ACTION,
                    name,
                    Outcome.FAILED,
                    name + " was not switched over (" + e.code() + "), and is tried again in " + waitMs / 1000 + " s: "
                            + e.getMessage());
        }
    }

    private static void await(CompletableFuture<?> move) throws LockstepException, InterruptedException {
        try {
            move.get();
        } catch (ExecutionException e) {
            if (e.getCause() instanceof LockstepException refusal) {
                throw refusal;
            }
            throw new LockstepException("internal-error", "unexpected: " + e.getCause(), e);
        }
    }

    /** Once for each decision, however the evidence grows. */
    private void tell(MovableVm vm, ComponentHealth worst, Outcome outcome, String circumstance, String text) {
        String decision = outcome + circumstance + worst.component() + worst.state();
        if (!decision.equals(told.put(vm.name(), decision))) {
            log.note(ACTION, vm.name(), outcome, text);
        }
    }

    @Override
    public void close() {
        thread.shutdownNow();
    }
}
