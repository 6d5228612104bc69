package io.lockstep.agent.daemon;

import io.lockstep.agent.config.AgentConfig;
import io.lockstep.agent.events.AgentEvent;
import io.lockstep.agent.events.EventLog;
import io.lockstep.agent.view.DrillRun;
import io.lockstep.agent.view.DrillView;
import io.lockstep.replication.DutyCycle;
import io.lockstep.replication.LockstepException;
import io.lockstep.replication.link.ControlMessage.DrillReport;
import io.lockstep.replication.protection.ProtectedVm;
import io.lockstep.replication.replica.DrillResult;
import io.lockstep.replication.replica.ReplicaHost;
import io.lockstep.replication.replica.ReplicaState;
import io.lockstep.replication.replica.ReplicaStatus;
import java.nio.file.Path;
import java.time.ZoneId;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.locks.LockSupport;
import org.agrona.concurrent.NanoClock;
import org.agrona.concurrent.SystemNanoClock;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The drills of this host's replicas: by hand, and when they are due; how they went, over restarts; and what the peers tell of the drills of the
 * VMs that run here. One drill that is due at a time, on a thread of this object's. Any thread.
 */
final class Drills implements AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(Drills.class);
    private static final double NS_PER_MS = 1e6;
    private static final long TICK_NS = 500_000_000L;

    /** A drill that is due and was refused is tried again after this. */
    private static final long RETRY_MS = 60_000;

    private static final String SHARED_DISK = "drill-shared-disk";

    /** They say nothing of what a failover would do: the drill was not made. */
    private static final Set<String> REFUSALS = Set.of(
            "replica-unknown",
            "drill-unavailable",
            "drill-runs-already",
            "drill-not-consistent",
            "drill-memory-too-small",
            "drill-vm-paused",
            SHARED_DISK,
            "drill-abandoned");

    private final AgentConfig.Drill config;
    private final ReplicaHost replicas;
    private final Protections protections;
    private final EventLog events;
    private final DrillRecords records;
    private final Map<String, Long> retryMs = new ConcurrentHashMap<>();
    /** VMs that can have no drills, so that none of theirs is due. */
    private final Set<String> without = ConcurrentHashMap.newKeySet();

    private final Map<String, DrillReport> told = new ConcurrentHashMap<>();
    private final Map<String, String> shown = new ConcurrentHashMap<>();
    private final NanoClock clock;
    private final DutyCycle rounds = DutyCycle.idle();
    private final Thread thread = new Thread(this::run, "drills");
    private volatile boolean closed;

    Drills(AgentConfig.Drill config, Path state, ReplicaHost replicas, Protections protections, EventLog events) {
        this(config, state, replicas, protections, events, SystemNanoClock.INSTANCE);
    }

    /** @param clock of the thread's rounds */
    Drills(
            AgentConfig.Drill config,
            Path state,
            ReplicaHost replicas,
            Protections protections,
            EventLog events,
            NanoClock clock) {
        this.clock = clock;
        this.config = config;
        this.replicas = replicas;
        this.protections = protections;
        this.events = events;
        records = new DrillRecords(state.resolve("drills"));
        thread.setDaemon(true);
        thread.start();
    }

    /** Makes one now. */
    DrillRun drill(String vm) throws LockstepException {
        try {
            DrillResult result = replicas.drill(vm);
            records.passed(vm, System.currentTimeMillis(), result.totalNs() / NS_PER_MS);
            retryMs.remove(vm);
            without.remove(vm);
            show(vm);
            return view(result);
        } catch (LockstepException e) {
            if (e.code().equals(SHARED_DISK)) {
                without.add(vm);
            }
            if (!REFUSALS.contains(e.code())) {
                records.failed(vm, System.currentTimeMillis(), e.code(), String.valueOf(e.getMessage()));
                show(vm);
            }
            throw e;
        }
    }

    private static DrillRun view(DrillResult result) {
        return new DrillRun(
                result.vm(),
                result.epoch(),
                result.snapshotNs() / NS_PER_MS,
                result.copyNs() / NS_PER_MS,
                result.startNs() / NS_PER_MS,
                result.loadNs() / NS_PER_MS,
                result.runNs() / NS_PER_MS,
                result.removeNs() / NS_PER_MS,
                result.totalNs() / NS_PER_MS,
                result.copiedBytes(),
                result.processors(),
                result.busyNs() / NS_PER_MS);
    }

    /** How those of a replica went. */
    DrillView view(String vm) {
        long nowMs = System.currentTimeMillis();
        DrillRecords.Entry record = records.peek(vm, nowMs);
        long dueMs = without.contains(vm) ? 0 : dueMs(record);
        String state =
                record.lastMs() == 0 ? DrillView.NONE : record.error() == null ? DrillView.PASSED : DrillView.FAILED;
        if (dueMs > 0 && nowMs > dueMs + config.overdueMs() && !state.equals(DrillView.FAILED)) {
            state = DrillView.OVERDUE;
        }
        return new DrillView(
                state, record.lastMs(), record.totalMs(), dueMs, record.runs(), record.failures(), record.error());
    }

    /** Why a replica's state is worse for its drills; empty if it is not. */
    static String trouble(DrillView view) {
        return switch (view.state()) {
            case DrillView.FAILED ->
                "the last drill failed: "
                        + (view.error() == null ? "" : view.error().message());
            case DrillView.OVERDUE -> "a drill has been due since " + java.time.Instant.ofEpochMilli(view.nextMs());
            default -> "";
        };
    }

    private long dueMs(DrillRecords.Entry record) {
        return config.schedule().any()
                ? config.schedule().nextMs(Math.max(record.passedMs(), record.sinceMs()), ZoneId.systemDefault())
                : 0;
    }

    private void run() {
        while (!closed) {
            rounds.mark(clock.nanoTime());
            try {
                tick(System.currentTimeMillis());
            } catch (RuntimeException e) {
                LOG.error("drills: {}", e.toString(), e);
            }
            long doneNs = clock.nanoTime();
            rounds.mark(doneNs, doneNs + TICK_NS);
            LockSupport.parkNanos(this, TICK_NS);
        }
        rounds.rest(clock.nanoTime());
    }

    /** How regularly its thread looks for what is due, and hears of the peers' drills; a drill that it makes is none of its rounds. */
    DutyCycle rounds() {
        return rounds;
    }

    private void tick(long nowMs) {
        Set<String> known = new HashSet<>();
        for (ReplicaStatus replica : replicas.status()) {
            if (replica.state() != ReplicaState.EMPTY && replica.promotion() == null) {
                known.add(replica.vm());
                records.of(replica.vm(), nowMs);
                show(replica.vm());
                boolean ready = replica.state() == ReplicaState.PROTECTED && replica.promotable();
                if (ready && config.schedule().any() && due(replica.vm(), nowMs)) {
                    drillAsDue(replica.vm(), nowMs);
                }
            }
        }
        shown.keySet().retainAll(known);
        without.retainAll(known);
        records.retain(known);
        protections.active().forEach(this::hear);
    }

    private boolean due(String vm, long nowMs) {
        DrillRecords.Entry record = records.of(vm, nowMs);
        // After one that failed, the next one is tried when it would have been due after one that went well.
        long after = Math.max(Math.max(record.passedMs(), record.lastMs()), record.sinceMs());
        return !without.contains(vm)
                && nowMs >= config.schedule().nextMs(after, ZoneId.systemDefault())
                && nowMs >= retryMs.getOrDefault(vm, 0L);
    }

    private void drillAsDue(String vm, long nowMs) {
        rounds.rest(clock.nanoTime());
        try {
            drill(vm);
        } catch (LockstepException e) {
            LOG.warn("{}: a drill that was due: {} ({})", vm, e.getMessage(), e.code());
            if (REFUSALS.contains(e.code())) {
                retryMs.put(vm, nowMs + RETRY_MS);
                events.publish(AgentEvent.DRILL, vm, "refused", String.valueOf(e.getMessage()));
            }
        } finally {
            rounds.mark(clock.nanoTime());
        }
    }

    /** Publishes what changed, and has the primary told. */
    private void show(String vm) {
        DrillView view = view(vm);
        String now = view.state() + " " + view.lastMs();
        if (now.equals(shown.put(vm, now))) {
            return;
        }
        String trouble = trouble(view);
        int state =
                switch (view.state()) {
                    case DrillView.PASSED -> DrillReport.PASSED;
                    case DrillView.FAILED -> DrillReport.FAILED;
                    case DrillView.OVERDUE -> DrillReport.OVERDUE;
                    default -> DrillReport.NONE;
                };
        replicas.drillReport(vm, new DrillReport(view.lastMs(), state, trouble));
        if (state != DrillReport.NONE) {
            events.publish(
                    AgentEvent.DRILL,
                    vm,
                    view.state(),
                    trouble.isEmpty() ? String.format(java.util.Locale.ROOT, "took %.0f ms", view.totalMs()) : trouble);
        }
    }

    /** What a peer told of the drills of a VM that runs here. */
    private void hear(ProtectedVm vm) {
        String name = vm.ticket().vmName();
        DrillReport report = vm.drill();
        DrillReport before = told.put(name, report);
        boolean worse = report.degrades() || (before != null && before.degrades());
        if (worse && !report.equals(before)) {
            events.publish(
                    AgentEvent.PROTECTION,
                    name,
                    report.degrades() ? "degraded" : Views.label(vm.state()),
                    report.degrades()
                            ? "on peer " + vm.peer().name() + ", " + report.cause()
                            : "the peer's drill went well");
        }
    }

    @Override
    public void close() {
        closed = true;
        LockSupport.unpark(thread);
    }
}
