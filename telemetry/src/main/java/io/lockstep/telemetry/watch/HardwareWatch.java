package io.lockstep.telemetry.watch;

import io.lockstep.linux.LinuxException;
import io.lockstep.linux.Poll;
import io.lockstep.telemetry.event.Component;
import io.lockstep.telemetry.event.HardwareEvent;
import io.lockstep.telemetry.fault.FaultMerger;
import io.lockstep.telemetry.fault.MemoryIdentity;
import io.lockstep.telemetry.health.ComponentHealth;
import io.lockstep.telemetry.health.HealthBook;
import io.lockstep.telemetry.health.HealthFile;
import io.lockstep.telemetry.health.HealthListener;
import io.lockstep.telemetry.health.HealthRules;
import io.lockstep.telemetry.health.HealthState;
import io.lockstep.telemetry.inventory.Inventory;
import io.lockstep.telemetry.source.EventSource;
import io.lockstep.telemetry.source.SourceState;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.function.Predicate;
import java.util.function.Supplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Watches a host's hardware. Two threads: one that the waking sources wake, so that an event is known in well under a millisecond, and one that
 * asks the others every {@link #POLL_MS}. The listener is called by either and must not wait. All methods: any thread.
 */
public final class HardwareWatch implements AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(HardwareWatch.class);

    /** How often the sources that do not wake anybody are asked. */
    static final long POLL_MS = 5_000;

    /** The longest that corrected errors wait behind {@link FaultMerger}'s own time. */
    private static final long DRAIN_NS = 100_000_000;

    private static final long SAVE_MS = 60_000;

    /** What calls for action is saved at once; the next such not before this, so that a flood of them does not write without end. */
    private static final long URGENT_MS = 200;

    private static final long CLOSE_MS = 2_000;

    private final HostSources sources;
    private final Path healthFile;
    private final Supplier<Optional<Inventory>> inventory;
    private final HealthBook book;
    private final EventLog log = new EventLog();
    private final FaultMerger merger = new FaultMerger(this::fault);
    private final CountDownLatch closed = new CountDownLatch(1);
    private final Semaphore urgent = new Semaphore(0);
    private final List<Thread> threads;
    private final WatchRounds waking;
    private final WatchRounds asking;
    private volatile boolean dirty;
    private volatile long savedMs;

    private HardwareWatch(
            HostSources sources,
            HealthRules rules,
            Path healthFile,
            Supplier<Optional<Inventory>> inventory,
            HealthListener listener,
            WatchRounds waking,
            WatchRounds asking) {
        this.sources = sources;
        this.healthFile = healthFile;
        this.inventory = inventory;
        this.waking = waking;
        this.asking = asking;
        book = new HealthBook(rules, new Listener(listener));
        threads = List.of(new Thread(this::awaken, "hardware"), new Thread(this::ask, "hardware-slow"));
    }

    /**
     * Starts it. Health of an earlier life is taken up; a file that cannot be read is told in the log, and nothing is taken up.
     *
     * @param healthFile where health is kept
     * @param inventory what is known of the host's modules; asked in the threads of this watch, must not wait
     */
    public static HardwareWatch start(
            HostSources sources,
            HealthRules rules,
            Path healthFile,
            Supplier<Optional<Inventory>> inventory,
            HealthListener listener) {
        return start(sources, rules, healthFile, inventory, listener, WatchRounds.IGNORED, WatchRounds.IGNORED);
    }

    /**
     * As {@link #start(HostSources, HealthRules, Path, Supplier, HealthListener)}.
     *
     * @param waking of the thread that the sources wake
     * @param asking of the thread that asks the others, and keeps the health
     */
    public static HardwareWatch start(
            HostSources sources,
            HealthRules rules,
            Path healthFile,
            Supplier<Optional<Inventory>> inventory,
            HealthListener listener,
            WatchRounds waking,
            WatchRounds asking) {
        HardwareWatch watch = new HardwareWatch(sources, rules, healthFile, inventory, listener, waking, asking);
        try {
            HealthFile.load(watch.book, healthFile, System.currentTimeMillis());
        } catch (IOException e) {
            LOG.warn("the hardware's earlier health is lost: {}", e.toString());
        }
        for (Thread thread : watch.threads) {
            thread.setDaemon(true);
            thread.start();
        }
        return watch;
    }

    /** How the host fares: as its worst part. */
    public HealthState state() {
        return book.host();
    }

    /** Every part to which something happened, worst first. */
    public List<ComponentHealth> health() {
        return book.all();
    }

    /** Memory modules, as exactly as they are known. */
    public List<Component.Memory> modules() {
        return identity().modules();
    }

    /** How each source is, by name. */
    public Map<String, SourceState> sourceStates() {
        Map<String, SourceState> states = new LinkedHashMap<>();
        all().forEach(source -> states.put(source.name(), source.state()));
        return states;
    }

    /**
     * The newest events after a sequence number, oldest first; at most {@link EventLog#KEPT_MAX} are remembered.
     *
     * @param limit at least 1
     */
    public List<SeenEvent> events(long after, int limit) {
        return log.after(after, limit);
    }

    /** Forgets what happened to some parts; how many. */
    public int clear(Predicate<Component> which) {
        int count = book.clear(which);
        dirty = true;
        save(System.currentTimeMillis());
        return count;
    }

    /**
     * Reads a source that is not one of this watch's, e.g. a drill, in the caller's thread: what is due now.
     *
     * @return events handed on
     */
    public int feed(EventSource source) {
        long nowMs = System.nanoTime() / 1_000_000;
        int events = source.poll(System.currentTimeMillis(), event -> offer(event, nowMs));
        synchronized (merger) {
            merger.drain(nowMs);
        }
        return events;
    }

    /** Writes down what the book tells, and hands it on. */
    private final class Listener implements HealthListener {
        private final HealthListener next;

        Listener(HealthListener next) {
            this.next = next;
        }

        @Override
        public void changed(ComponentHealth health, HealthState before) {
            dirty = true;
            LOG.info(
                    "{}: {} -> {}: {}",
                    health.component().words(),
                    before.words(),
                    health.state().words(),
                    health.evidence().isEmpty()
                            ? "calm"
                            : health.evidence().get(health.evidence().size() - 1));
            next.changed(health, before);
        }

        @Override
        public void noticed(HardwareEvent event, ComponentHealth health, HealthState before, boolean pageWorn) {
            next.noticed(event, health, before, pageWorn);
        }
    }

    private List<EventSource> all() {
        List<EventSource> all = new ArrayList<>(sources.waking());
        all.addAll(sources.polled());
        return all;
    }

    private MemoryIdentity identity() {
        return new MemoryIdentity(
                sources.edac().layout(), inventory.get().map(Inventory::dimms).orElse(List.of()));
    }

    private void fault(HardwareEvent event, boolean refined) {
        HardwareEvent known = event.component() instanceof Component.Memory
                ? event.on(identity().resolve(event.component()))
                : event;
        log.add(known, refined);
        if (known.immediate()) {
            LOG.warn("{}", known.line());
        }
        book.record(known, refined, System.currentTimeMillis());
        dirty = true;
        if (known.immediate()) {
            urgent.release();
        }
    }

    private void awaken() {
        int[] descriptors = sources.waking().stream()
                .flatMapToInt(source -> Arrays.stream(source.descriptors()))
                .toArray();
        Poll poll = new Poll(Math.max(1, descriptors.length));
        for (int i = 0; i < descriptors.length; i++) {
            poll.set(i, descriptors[i], Poll.IN);
        }
        while (closed.getCount() > 0) {
            try {
                mark(waking, DRAIN_NS);
                poll.await(DRAIN_NS);
                mark(waking, 0);
            } catch (LinuxException e) {
                LOG.error("hardware events cannot be waited for: {}", e.toString());
                return;
            }
            read(sources.waking());
        }
    }

    private void ask() {
        try {
            while (closed.getCount() > 0) {
                mark(asking, 0);
                read(sources.polled());
                long nowMs = System.currentTimeMillis();
                book.tick(nowMs);
                if (dirty && nowMs - savedMs >= SAVE_MS) {
                    save(nowMs);
                }
                await(System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(POLL_MS));
            }
        } catch (InterruptedException e) {
            // Only close() interrupts this thread; it ends here either way.
        }
    }

    /** Waits, but saves what must survive if this process is killed the next moment. */
    private void await(long untilNs) throws InterruptedException {
        mark(asking, untilNs - System.nanoTime());
        while (closed.getCount() > 0 && urgent.tryAcquire(untilNs - System.nanoTime(), TimeUnit.NANOSECONDS)) {
            mark(asking, 0);
            urgent.drainPermits();
            save(System.currentTimeMillis());
            mark(asking, TimeUnit.MILLISECONDS.toNanos(URGENT_MS));
            if (closed.await(URGENT_MS, TimeUnit.MILLISECONDS)) {
                return;
            }
            mark(asking, untilNs - System.nanoTime());
        }
    }

    private static void mark(WatchRounds rounds, long waitNs) {
        long nowNs = System.nanoTime();
        rounds.mark(nowNs, nowNs + Math.max(0, waitNs));
    }

    private void read(List<EventSource> some) {
        long nowMs = System.nanoTime() / 1_000_000;
        try {
            for (EventSource source : some) {
                source.poll(System.currentTimeMillis(), event -> offer(event, nowMs));
            }
            synchronized (merger) {
                merger.drain(nowMs);
            }
        } catch (RuntimeException e) {
            // A fault of ours in one event must not end the watch over all others.
            LOG.error("a hardware event was not understood: {}", e, e);
        }
    }

    private void offer(HardwareEvent event, long nowMs) {
        synchronized (merger) {
            merger.offer(event, nowMs);
        }
    }

    private void save(long nowMs) {
        dirty = false;
        savedMs = nowMs;
        try {
            HealthFile.save(book, healthFile, nowMs);
        } catch (IOException e) {
            LOG.warn("the hardware's health cannot be kept: {}", e.toString());
        }
    }

    /** Ends within some seconds; what is known is kept. */
    @Override
    public void close() {
        closed.countDown();
        urgent.release();
        for (Thread thread : threads) {
            try {
                thread.join(CLOSE_MS);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }
        synchronized (merger) {
            merger.end(System.nanoTime() / 1_000_000);
        }
        save(System.currentTimeMillis());
        all().forEach(EventSource::close);
    }
}
