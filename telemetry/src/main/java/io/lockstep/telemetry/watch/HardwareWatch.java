package io.lockstep.telemetry.watch;

import io.lockstep.linux.LinuxException;
import io.lockstep.linux.Poll;
import io.lockstep.telemetry.event.Component;
import io.lockstep.telemetry.event.Earlier;
import io.lockstep.telemetry.event.EventKind;
import io.lockstep.telemetry.event.HardwareEvent;
import io.lockstep.telemetry.event.Raw;
import io.lockstep.telemetry.event.Severity;
import io.lockstep.telemetry.fault.FaultMerger;
import io.lockstep.telemetry.fault.FaultSink;
import io.lockstep.telemetry.fault.MemoryIdentity;
import io.lockstep.telemetry.health.ComponentHealth;
import io.lockstep.telemetry.health.HealthBook;
import io.lockstep.telemetry.health.HealthFile;
import io.lockstep.telemetry.health.HealthListener;
import io.lockstep.telemetry.health.HealthRules;
import io.lockstep.telemetry.health.HealthState;
import io.lockstep.telemetry.health.Pending;
import io.lockstep.telemetry.inventory.Inventory;
import io.lockstep.telemetry.source.EventSource;
import io.lockstep.telemetry.source.Moment;
import io.lockstep.telemetry.source.SourceState;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
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
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Predicate;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
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

    /** Turns at the start. The kernel's log of 16 MiB has some 200,000 records, of which a turn reads 4096: 49, rounded up. */
    private static final int CATCH_UP_TURNS = 64;

    private final HostSources sources;
    private final Path healthFile;
    private final Supplier<Optional<Inventory>> inventory;
    private final HealthRules rules;
    private final HealthBook book;
    private final EventLog log = new EventLog();
    private final FloodLog warnings = new FloodLog(LOG::warn);
    private final FloodLog errors = new FloodLog(LOG::error);
    private final FloodLog changes = new FloodLog(LOG::info);
    private final FaultMerger merger = new FaultMerger(this::known, new Sink());

    /** Of what is fed: it is no part of what happened, and no counter shows it. Guarded by the merger, too. */
    private final FaultMerger fed = new FaultMerger(this::known, this::fault);

    /**
     * Held from a waking source's first event to its word on how far it was read, and for what is kept: what was handed on and how far that is are kept
     * as one, so that after a kill nothing is missing and nothing is counted twice. Sources that must be asked are slow, and say it with each event.
     * Taken before the merger; fair, as a storm would keep the other out.
     */
    private final ReentrantLock handing = new ReentrantLock(true);

    private final CountDownLatch closed = new CountDownLatch(1);
    private final CountDownLatch caughtUp = new CountDownLatch(1);
    private final Semaphore urgent = new Semaphore(0);
    private final List<Thread> threads;
    private final WatchRounds waking;
    private final WatchRounds asking;
    private volatile boolean dirty;
    private volatile long savedMs;

    /** As the file has it; guarded by the merger, under which accounts, open faults, tallies and counters agree. */
    private Pending saved;

    private HardwareWatch(WatchSetup setup) {
        sources = setup.sources();
        healthFile = setup.healthFile();
        inventory = setup.inventory();
        waking = setup.waking();
        asking = setup.asking();
        rules = setup.rules();
        book = new HealthBook(rules, new Listener(setup.listener()));
        saved = new Pending(sources.counters().boot(), Map.of(), List.of(), List.of(), Map.of());
        threads = List.of(new Thread(this::awaken, "hardware"), new Thread(this::ask, "hardware-slow"));
    }

    /** Starts it. Health of an earlier life is taken up; a file that cannot be read is told in the log, and nothing is taken up. */
    public static HardwareWatch start(WatchSetup setup) {
        HardwareWatch watch = new HardwareWatch(setup);
        try {
            watch.resume(HealthFile.load(watch.book, setup.healthFile()));
        } catch (IOException e) {
            LOG.warn("the hardware's earlier health is lost: {}", e.toString());
        }
        for (Thread thread : watch.threads) {
            thread.setDaemon(true);
            thread.start();
        }
        return watch;
    }

    /** Counters of another life of the kernel began anew: their first reading is the start, and nothing more is told of faults of that life. */
    private void resume(Pending kept) {
        String boot = sources.counters().boot();
        sources.counters().restoreMarks(kept.marks());
        if (!boot.isEmpty() && boot.equals(kept.boot())) {
            synchronized (merger) {
                sources.counters().restore(kept.values());
                merger.restore(kept.told(), kept.open(), monotonicMs());
                saved = kept;
            }
        }
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
        synchronized (merger) {
            // What a drill fed shortly before must not come after.
            fed.end(monotonicMs());
        }
        int count = book.clear(which, System.currentTimeMillis());
        dirty = true;
        save(System.currentTimeMillis());
        return count;
    }

    /**
     * Reads a source that is not one of this watch's, e.g. a drill, in the caller's thread: what is due now. It is merged with what is fed
     * alone.
     *
     * @return events handed on
     */
    public int feed(EventSource source) {
        long nowMs = monotonicMs();
        int events = source.poll(Moment.now(), event -> {
            synchronized (merger) {
                fed.offer(event, nowMs);
            }
        });
        synchronized (merger) {
            fed.drain(nowMs);
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
            String why = health.evidence().isEmpty()
                    ? "calm"
                    : health.evidence().get(health.evidence().size() - 1);
            // First: a VM that is to be moved does not wait for a log's disk.
            next.changed(health, before);
            changes.add(
                    new Subject(coarse(health.component()), before, health.state()),
                    health.component().words() + ": " + before.words() + " -> "
                            + health.state().words() + ": " + why,
                    monotonicMs());
        }

        @Override
        public void noticed(HardwareEvent event, ComponentHealth health, HealthState before, boolean pageWorn) {
            next.noticed(event, health, before, pageWorn);
        }
    }

    /** Called with the merger held. */
    private final class Sink implements FaultSink {
        @Override
        public void fault(HardwareEvent event, boolean refined, @Nullable Earlier earlier) {
            HardwareWatch.this.fault(event, refined, earlier);
        }

        @Override
        public void settled(Raw.Counter counter) {
            sources.counters().settle(counter);
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

    /** What lines of the log are about: the part, and the kind and severity of an event or the states between which it went. */
    private record Subject(Component component, Enum<?> one, Enum<?> other) {}

    /** As coarsely as the log tells parts apart: pages and rows come in thousands. */
    private static Component coarse(Component component) {
        if (component instanceof Component.Memory memory) {
            return memory.module();
        }
        return component instanceof Component.PhysicalAddress ? Component.Memory.ANYWHERE : component;
    }

    private static long monotonicMs() {
        return System.nanoTime() / 1_000_000;
    }

    /** Of memory alone: the inventory is not read before somebody needs it. */
    private Component known(Component component) {
        return component instanceof Component.Memory ? identity().resolve(component) : component;
    }

    private void fault(HardwareEvent event, boolean refined, @Nullable Earlier earlier) {
        log.add(event, refined);
        book.record(event, refined, earlier, System.currentTimeMillis());
        dirty = true;
        if (event.immediate()) {
            urgent.release();
            warnings.add(
                    new Subject(coarse(event.component()), event.kind(), event.severity()),
                    event.line(),
                    monotonicMs());
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
        try {
            prepare();
            catchUp(poll);
            while (closed.getCount() > 0) {
                mark(waking, DRAIN_NS);
                poll.await(DRAIN_NS);
                mark(waking, 0);
                read(sources.waking(), true);
            }
        } catch (LinuxException e) {
            LOG.error("hardware events cannot be waited for: {}", e.toString());
        } finally {
            caughtUp.countDown();
        }
    }

    /** What fails here makes the first event slower, or names its part less well; the host is watched all the same. */
    private void prepare() {
        try {
            sources.edac().look();
            rehearse();
        } catch (RuntimeException e) {
            failed("the watch is not prepared for its first event", e);
        }
    }

    /**
     * Takes an event on its way through accounts that nobody sees. Many an agent sees a single one in its life, which must not wait until what it
     * needs is loaded: that took 60 ms, and an epoch is shorter.
     */
    private void rehearse() {
        HardwareEvent event = new HardwareEvent(
                System.currentTimeMillis(),
                EventKind.MIRROR_FAILOVER,
                Severity.CORRECTED,
                Component.Memory.ANYWHERE.at(0, 0, 0, 0),
                0,
                1,
                "mce",
                "rehearsal",
                Raw.NONE);
        EventLog rehearsed = new EventLog();
        FloodLog unheard = new FloodLog(line -> {});
        HealthBook accounts = new HealthBook(
                rules,
                (health, before) -> unheard.add(
                        new Subject(coarse(health.component()), before, health.state()),
                        health.evidence().toString(),
                        0));
        FaultMerger way = new FaultMerger(
                new MemoryIdentity(sources.edac().layout(), List.of())::resolve, (fault, refined, earlier) -> {
                    rehearsed.add(fault, refined);
                    accounts.record(fault, refined, earlier, fault.wallMs());
                });
        way.offer(event, 0);
        way.offer(event.on(new Component.Cpu(0, 0, 0)), 0);
        way.end(FaultMerger.SAME_MS);
        unheard.add(accounts.host(), accounts.all().toString(), 0);
    }

    /** Reads what came while no agent looked, before the counters are read that count it, too: a fault must not be told twice. */
    private void catchUp(Poll poll) throws LinuxException {
        int turns = 0;
        do {
            mark(waking, 0);
            read(sources.waking(), true);
            turns++;
        } while (turns < CATCH_UP_TURNS && closed.getCount() > 0 && poll.await(0) > 0);
        caughtUp.countDown();
    }

    private void ask() {
        try {
            caughtUp.await(POLL_MS, TimeUnit.MILLISECONDS);
            while (closed.getCount() > 0) {
                mark(asking, 0);
                read(sources.polled(), false);
                long nowMs = System.currentTimeMillis();
                book.tick(nowMs);
                List.of(errors, warnings, changes).forEach(lines -> lines.drain(monotonicMs()));
                if (nowMs - savedMs >= SAVE_MS && (dirty || moved())) {
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
        long leftNs = untilNs - System.nanoTime();
        mark(asking, leftNs);
        // A flood of them must not keep the slow sources from being asked.
        while (leftNs > 0 && closed.getCount() > 0 && urgent.tryAcquire(leftNs, TimeUnit.NANOSECONDS)) {
            mark(asking, 0);
            urgent.drainPermits();
            save(System.currentTimeMillis());
            mark(asking, TimeUnit.MILLISECONDS.toNanos(URGENT_MS));
            if (closed.await(URGENT_MS, TimeUnit.MILLISECONDS)) {
                return;
            }
            leftNs = untilNs - System.nanoTime();
            mark(asking, leftNs);
        }
    }

    private static void mark(WatchRounds rounds, long waitNs) {
        long nowNs = System.nanoTime();
        rounds.mark(nowNs, nowNs + Math.max(0, waitNs));
    }

    /** @param whole whether nothing may be kept between a source's first event and its word on how far it was read */
    private void read(List<EventSource> some, boolean whole) {
        long nowMs = monotonicMs();
        try {
            for (EventSource source : some) {
                if (whole) {
                    pollWhole(source, nowMs);
                } else {
                    source.poll(Moment.now(), event -> offer(event, nowMs));
                }
            }
            synchronized (merger) {
                merger.drain(nowMs);
                fed.drain(nowMs);
            }
        } catch (RuntimeException e) {
            // A fault of ours in one event must not end the watch over all others.
            failed("a hardware event was not understood", e);
        }
    }

    private void pollWhole(EventSource source, long nowMs) {
        handing.lock();
        try {
            source.poll(Moment.now(), event -> offer(event, nowMs));
        } finally {
            handing.unlock();
        }
        if (source.pressing()) {
            urgent.release();
        }
    }

    private void failed(String what, RuntimeException e) {
        StringWriter stack = new StringWriter();
        e.printStackTrace(new PrintWriter(stack));
        errors.add(List.of(e.getStackTrace()), what + ": " + stack, monotonicMs());
    }

    private void offer(HardwareEvent event, long nowMs) {
        synchronized (merger) {
            merger.offer(event, nowMs);
            if (event.raw() instanceof Raw.Logged logged) {
                sources.counters().pass(logged.log(), logged.position());
            } else if (event.raw() instanceof Raw.Marked marked) {
                sources.counters().mark(marked.name(), marked.mark());
            }
        }
    }

    private Pending pending() {
        long nowMs = monotonicMs();
        return new Pending(
                sources.counters().boot(),
                sources.counters().settled(),
                merger.tallies(nowMs),
                merger.open(nowMs),
                sources.counters().marks());
    }

    private boolean moved() {
        synchronized (merger) {
            return !pending().equals(saved);
        }
    }

    private synchronized void save(long nowMs) {
        dirty = false;
        savedMs = nowMs;
        try {
            HealthFile.Content content = content(nowMs);
            HealthFile.save(content, healthFile);
            sources.counters().saved(content.pending().values());
        } catch (IOException e) {
            dirty = true;
            warnings.add("keep", "the hardware's health cannot be kept: " + e, monotonicMs());
        }
    }

    private HealthFile.Content content(long nowMs) throws IOException {
        handing.lock();
        try {
            synchronized (merger) {
                saved = pending();
                return HealthFile.content(book, saved, nowMs);
            }
        } finally {
            handing.unlock();
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
            // What is open stays so: the next agent may read what more is told of it, and reads the counters once more.
            merger.flush(monotonicMs());
            fed.end(monotonicMs());
        }
        save(System.currentTimeMillis());
        List.of(errors, warnings, changes).forEach(lines -> lines.end(monotonicMs()));
        if (threads.stream().noneMatch(Thread::isAlive)) {
            all().forEach(EventSource::close);
        } else {
            // It reads what would be unmapped under it.
            LOG.warn("the hardware's sources stay open: a thread that reads them hangs");
        }
    }
}
