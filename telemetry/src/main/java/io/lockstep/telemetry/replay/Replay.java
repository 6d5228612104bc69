package io.lockstep.telemetry.replay;

import io.lockstep.telemetry.event.Component;
import io.lockstep.telemetry.event.Earlier;
import io.lockstep.telemetry.event.HardwareEvent;
import io.lockstep.telemetry.fault.FaultMerger;
import io.lockstep.telemetry.fault.MemoryIdentity;
import io.lockstep.telemetry.health.ComponentHealth;
import io.lockstep.telemetry.health.HealthBook;
import io.lockstep.telemetry.health.HealthListener;
import io.lockstep.telemetry.health.HealthRules;
import io.lockstep.telemetry.health.HealthState;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Feeds a recording through the merger and the health as an agent would have, by the recorded times: windows slide and parts recover as they would
 * have then. Time never goes back; an event without one happened at the time of the one before. For one thread.
 */
public final class Replay {
    /** Steps that a result keeps; about a kilobyte each. */
    public static final int STEPS_MAX = 10_000;

    /** Malformed lines that a result keeps. */
    public static final int MALFORMED_MAX = 100;

    /** Pages of which an agent told last; what is refined follows within seconds. */
    private static final int TOLD_MAX = 4096;

    private static final int PAGE_SHIFT = 12;

    /** What waits in the merger is looked for once in so much of the recorded time, as an agent does. */
    private static final long DRAIN_MS = 100;

    /** Recovery is looked for so many times in the time that it takes. */
    private static final int TICKS = 24;

    private final HealthRules rules;
    private final MemoryIdentity identity;
    private final Consumer<ReplayResult.Step> steps;
    private final FaultMerger merger;
    private final HealthBook book;
    private final Map<Told, Earlier> told = new LinkedHashMap<>(16, 0.75f, true) {
        private static final long serialVersionUID = 1;

        @Override
        protected boolean removeEldestEntry(Map.Entry<Told, Earlier> eldest) {
            return size() > TOLD_MAX;
        }
    };
    private HealthState worst = HealthState.HEALTHY;
    private boolean begun;
    private long nowMs;
    private long tickedMs;
    private long drainedMs;
    private long busyMs;
    private long events;

    /** A page, and whether data was lost there. */
    private record Told(long page, boolean lost) {}

    private Replay(HealthRules rules, MemoryIdentity identity, Consumer<ReplayResult.Step> steps) {
        this.rules = rules;
        this.identity = identity;
        this.steps = steps;
        book = new HealthBook(rules, new Listener());
        merger = new FaultMerger(identity::resolve, this::fault);
    }

    /**
     * Replays a file.
     *
     * @param identity names the modules of the host that it was recorded on; {@link MemoryIdentity#NONE} if they are not known
     * @param watcher hears of every step as it comes, also of those that the result has no room for
     * @throws IOException if the file cannot be read
     */
    public static ReplayResult run(
            Path file, HealthRules rules, MemoryIdentity identity, Consumer<ReplayResult.Step> watcher)
            throws IOException {
        Kept kept = new Kept(watcher);
        Replay replay = new Replay(rules, identity, kept::step);
        kept.replay = replay;
        try (RecordingReader reader = RecordingReader.open(file, kept)) {
            boolean more = true;
            while (more) {
                more = reader.next();
            }
            replay.end();
            return new ReplayResult(
                    reader.format(),
                    reader.timesSinceBoot(),
                    kept.steps,
                    kept.stepCount,
                    replay.events,
                    kept.malformed,
                    kept.malformedCount,
                    replay.book.all(),
                    replay.worst);
        }
    }

    /** What a result has room for, and the way of a recording's events. */
    private static final class Kept implements RecordingSink {
        final List<ReplayResult.Step> steps = new ArrayList<>();
        final List<ReplayResult.Malformed> malformed = new ArrayList<>();
        final Consumer<ReplayResult.Step> watcher;

        @SuppressWarnings("NullAway.Init") // each needs the other
        Replay replay;

        long stepCount;
        long malformedCount;

        Kept(Consumer<ReplayResult.Step> watcher) {
            this.watcher = watcher;
        }

        void step(ReplayResult.Step step) {
            stepCount++;
            if (steps.size() < STEPS_MAX) {
                steps.add(step);
            }
            watcher.accept(step);
        }

        @Override
        public void event(HardwareEvent event) {
            replay.advance(event.wallMs());
            replay.merger.offer(event.at(replay.nowMs), replay.nowMs);
        }

        @Override
        public void told(HardwareEvent event, boolean refined) {
            replay.advance(event.wallMs());
            replay.merger.end(replay.nowMs);
            replay.told(event.at(replay.nowMs), refined);
        }

        @Override
        public void malformed(long line, String cause) {
            malformedCount++;
            if (malformed.size() < MALFORMED_MAX) {
                malformed.add(new ReplayResult.Malformed(line, cause));
            }
        }
    }

    private void advance(long wallMs) {
        if (!begun) {
            begun = true;
            nowMs = wallMs;
            tickedMs = wallMs;
            drainedMs = wallMs;
            busyMs = wallMs;
        }
        long untilMs = Math.max(nowMs, wallMs);
        // What waits in the merger would have been handed on long before a late next event.
        while (untilMs - nowMs > FaultMerger.HOLD_MS && nowMs - busyMs <= 2 * FaultMerger.HOLD_MS) {
            nowMs += FaultMerger.HOLD_MS;
            drain();
        }
        recover(untilMs);
        nowMs = untilMs;
        busyMs = untilMs;
        if (nowMs - drainedMs >= DRAIN_MS) {
            drain();
        }
    }

    private void drain() {
        drainedMs = nowMs;
        merger.drain(nowMs);
    }

    /** Parts recover in two steps at most, each after the same calm: later than that, nothing more happens. */
    private void recover(long untilMs) {
        long everyMs = Math.max(1, rules.calmMs() / TICKS);
        long lastMs = Math.min(untilMs, busyMs + (HealthState.values().length + 1) * rules.calmMs());
        while (tickedMs + everyMs <= lastMs) {
            tickedMs += everyMs;
            nowMs = Math.max(nowMs, tickedMs);
            book.tick(nowMs);
        }
        tickedMs = Math.max(tickedMs, untilMs - everyMs);
    }

    private void end() {
        merger.end(nowMs);
    }

    /** An agent told it: what it had told of the same page shortly before is the same fault. */
    private void told(HardwareEvent event, boolean refined) {
        HardwareEvent known = event.on(identity.resolve(event.component()));
        Told page = new Told(known.address() >>> PAGE_SHIFT, known.severity().uncorrected());
        Earlier earlier = known.address() == HardwareEvent.NO_ADDRESS ? null : told.get(page);
        if (earlier != null && nowMs - earlier.event().wallMs() > FaultMerger.SAME_MS) {
            earlier = null;
        }
        if (known.address() != HardwareEvent.NO_ADDRESS) {
            told.put(page, earlier == null ? Earlier.of(known) : earlier.then(known, refined));
        }
        fault(known, refined, earlier);
    }

    private void fault(HardwareEvent known, boolean refined, @Nullable Earlier earlier) {
        events += refined ? 0 : known.count();
        steps.accept(new ReplayResult.Seen(known, refined));
        book.record(known, refined, earlier, nowMs);
    }

    /** What the book tells, as steps. */
    private final class Listener implements HealthListener {
        @Override
        public void changed(ComponentHealth health, HealthState before) {
            boolean worse = health.state().compareTo(worst) > 0;
            worst = worse && !(health.component() instanceof Component.Guest) ? health.state() : worst;
            steps.accept(new ReplayResult.Changed(nowMs, health, before));
        }

        @Override
        public void noticed(HardwareEvent event, ComponentHealth health, HealthState before, boolean pageWorn) {
            if (pageWorn) {
                steps.accept(new ReplayResult.Worn(event));
            }
        }
    }
}
