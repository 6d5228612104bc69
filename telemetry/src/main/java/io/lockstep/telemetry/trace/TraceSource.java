package io.lockstep.telemetry.trace;

import io.lockstep.linux.LinuxException;
import io.lockstep.linux.ReadableFile;
import io.lockstep.telemetry.event.HardwareEvent;
import io.lockstep.telemetry.source.Counters;
import io.lockstep.telemetry.source.EventSource;
import io.lockstep.telemetry.source.Moment;
import io.lockstep.telemetry.source.SourceState;
import io.lockstep.telemetry.source.SourceState.Status;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.function.Consumer;
import java.util.function.LongConsumer;
import java.util.function.LongSupplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Events of the kernel's tracepoints, in the order of their own times. The record of truth: other sources may tell of the same faults. */
public final class TraceSource implements EventSource {
    private static final Logger LOG = LoggerFactory.getLogger(TraceSource.class);

    /** Of the source, and of how far its pages were handed on. */
    private static final String NAME = "trace";

    /** Pages of one CPU in one turn, so that a storm there cannot starve the other CPUs. */
    private static final int PAGES_PER_TURN = 64;

    /** Events that are put in order at one time, of some 300 bytes each; in a storm beyond it they are handed on as they come. */
    private static final int ORDERED_MAX = 8192;

    /**
     * Turns of one poll that wait for events which came while another CPU's ring was read. It takes an event in each turn to use them up: a storm, in
     * which nobody waits longer than some milliseconds for order.
     */
    private static final int TURNS_MAX = 32;

    private static final long NS_PER_MS = 1_000_000;

    /** An event that waits for those of other CPUs which came before it. */
    private record Timed(long timestampNs, HardwareEvent event) {}

    private final List<ReadableFile> rings = new ArrayList<>();
    private final List<Timed> waiting = new ArrayList<>();
    private final TraceInstance instance;
    private final boolean keep;
    private final TraceSpool spool;
    private final Counters kept;
    private final TraceDecoder decoder;
    private final LongSupplier monotonicNs;
    private final LongConsumer delayNs;
    private volatile SourceState state;
    private long events;
    private long lost;
    private boolean losing;
    private boolean again = true;

    private TraceSource(
            TraceInstance instance,
            boolean keep,
            TraceSpool spool,
            Counters kept,
            TraceDecoder decoder,
            LongSupplier monotonicNs,
            LongConsumer delayNs) {
        this.instance = instance;
        this.keep = keep;
        this.spool = spool;
        this.kept = kept;
        this.decoder = decoder;
        this.monotonicNs = monotonicNs;
        this.delayNs = delayNs;
        this.state = SourceState.present("", 0);
    }

    /**
     * Opens the instance and its rings; where that cannot be, a source that says why.
     *
     * @param tracefs where it is mounted, {@code /sys/kernel/tracing}
     * @param name of the instance, so that two agents on one host do not read each other's
     * @param keep whether the instance stays when the source is closed
     * @param spool file on a tmpfs for what was read and is not kept yet
     * @param kept how far that was handed on in this life of the kernel
     * @param events as group/name; those that the kernel lacks are passed over
     * @param decoder of those events
     * @param monotonicNs CLOCK_MONOTONIC, by which the ring's times count
     * @param delayNs gets, for each event, the nanoseconds from the tracepoint's own time to the decoded event
     */
    static EventSource open(
            Path tracefs,
            String name,
            boolean keep,
            Path spool,
            Counters kept,
            List<String> events,
            TraceDecoder decoder,
            LongSupplier monotonicNs,
            LongConsumer delayNs) {
        if (!Files.isDirectory(tracefs.resolve("instances"))) {
            return new AbsentSource(SourceState.absent(
                    tracefs + " has no instances: tracefs is not mounted there", "mount -t tracefs nodev " + tracefs));
        }
        try {
            TraceInstance instance = TraceInstance.open(tracefs, name, events);
            TraceSource source =
                    new TraceSource(instance, keep, spool(spool, kept.boot()), kept, decoder, monotonicNs, delayNs);
            for (Path ring : instance.rings()) {
                source.rings.add(new ReadableFile(ring, TraceSpool.PAGE_BYTES));
            }
            source.publish();
            return source;
        } catch (AccessDeniedException e) {
            return new AbsentSource(SourceState.noPrivilege("cannot write " + e.getFile()));
        } catch (IOException e) {
            return new AbsentSource(SourceState.absent("no trace instance: " + e.getMessage(), ""));
        }
    }

    /** Where there is no place for the file events are read all the same. */
    private static TraceSpool spool(Path file, String boot) {
        try {
            return TraceSpool.open(file, boot);
        } catch (LinuxException e) {
            LOG.warn(
                    "hardware events that are read and not kept yet are lost if the agent is killed: {}", e.toString());
            return TraceSpool.inMemory();
        }
    }

    /**
     * Opens every event that tells of hardware; where that cannot be, a source that says why.
     *
     * @param tracefs where it is mounted, {@code /sys/kernel/tracing}
     * @param name of the instance, so that two agents on one host do not read each other's
     * @param keep whether the instance stays when the source is closed, and keeps events for the next life
     * @param spool file on a tmpfs for what was read and is not kept yet; nobody else's
     * @param kept how far that was handed on in this life of the kernel
     */
    public static EventSource open(Path tracefs, String name, boolean keep, Path spool, Counters kept) {
        return open(
                tracefs,
                name,
                keep,
                spool,
                kept,
                TraceInstance.EVENTS,
                TraceEvents::decode,
                System::nanoTime,
                ns -> {});
    }

    private record AbsentSource(SourceState state) implements EventSource {
        @Override
        public String name() {
            return NAME;
        }

        @Override
        public int poll(Moment now, Consumer<HardwareEvent> sink) {
            return 0;
        }
    }

    @Override
    public String name() {
        return NAME;
    }

    @Override
    public int[] descriptors() {
        return rings.stream().mapToInt(ReadableFile::fd).toArray();
    }

    @Override
    public int poll(Moment now, Consumer<HardwareEvent> sink) {
        long offsetNs = now.wallMs() * NS_PER_MS - now.monotonicNs();
        long before = events;
        long lostBefore = lost;
        if (again) {
            spool.after(kept.passed(NAME), page -> take(page, offsetNs, sink));
            handOn(Long.MAX_VALUE, sink);
            spool.continueBehind(kept.passed(NAME));
            again = false;
        }
        try {
            for (int turn = 1; turn == 1 || (turn <= TURNS_MAX && !waiting.isEmpty()); turn++) {
                long nowNs = monotonicNs.getAsLong();
                read(offsetNs, sink);
                // What is younger may have elders in a ring that was read before they came.
                handOn(nowNs, sink);
            }
        } catch (LinuxException e) {
            handOn(Long.MAX_VALUE, sink);
            state = new SourceState(Status.DEAF, e.toString(), "", events, lost);
            kept.pass(NAME, spool.last());
            return (int) (events - before);
        }
        handOn(Long.MAX_VALUE, sink);
        kept.pass(NAME, spool.last());
        if (events != before || lost != lostBefore) {
            publish();
        }
        return (int) (events - before);
    }

    private void read(long offsetNs, Consumer<HardwareEvent> sink) throws LinuxException {
        for (ReadableFile ring : rings) {
            for (int pages = 0; pages < PAGES_PER_TURN; pages++) {
                ByteBuffer page = spool.read(ring);
                if (page == null) {
                    break;
                }
                take(page, offsetNs, sink);
            }
        }
    }

    private void take(ByteBuffer page, long offsetNs, Consumer<HardwareEvent> sink) {
        RingPage.read(page, TraceSpool.PAGE_BYTES, new PageHandler(page, offsetNs, sink));
    }

    /** Hands on what happened up to a time, in order. */
    private void handOn(long untilNs, Consumer<HardwareEvent> sink) {
        if (waiting.isEmpty()) {
            return;
        }
        waiting.sort(Comparator.comparingLong(Timed::timestampNs));
        int count = 0;
        while (count < waiting.size() && waiting.get(count).timestampNs <= untilNs) {
            count++;
        }
        List<Timed> due = List.copyOf(waiting.subList(0, count));
        waiting.subList(0, count).clear();
        int done = 0;
        try {
            while (done < due.size()) {
                Timed timed = due.get(done++);
                if (!again) {
                    delayNs.accept(monotonicNs.getAsLong() - timed.timestampNs);
                }
                sink.accept(timed.event);
            }
        } finally {
            // One that the sink does not understand must neither come again nor take the others with it.
            waiting.addAll(due.subList(done, due.size()));
        }
    }

    private void publish() {
        List<String> names = instance.formats().values().stream()
                .map(TraceInstance.Named::event)
                .toList();
        String detail = names.isEmpty()
                ? "this kernel has none of the events"
                : rings.size() + " CPUs, events " + String.join(", ", names);
        Status status = names.isEmpty() ? Status.DEAF : losing ? Status.LOSING : Status.PRESENT;
        String cure =
                losing ? "Give the agent more processor time: the kernel's ring was full before it was read." : "";
        state = new SourceState(status, detail, cure, events, lost);
    }

    @Override
    public boolean pressing() {
        return spool.pressing(kept.saved(NAME));
    }

    @Override
    public SourceState state() {
        return state;
    }

    /** Stops reading; an instance that is kept holds events for the next life. */
    @Override
    public void close() {
        rings.forEach(ReadableFile::close);
        rings.clear();
        try {
            if (keep) {
                spool.close();
            } else {
                spool.remove();
                instance.remove();
            }
        } catch (IOException e) {
            state = new SourceState(Status.DEAF, "instance not removed: " + e, "", events, lost);
        }
    }

    private final class PageHandler implements RingPage.Handler {
        private final ByteBuffer page;
        private final long offsetNs;
        private final Consumer<HardwareEvent> sink;

        PageHandler(ByteBuffer page, long offsetNs, Consumer<HardwareEvent> sink) {
            this.page = page;
            this.offsetNs = offsetNs;
            this.sink = sink;
        }

        @Override
        public void record(long timestampNs, int offset, int length) {
            int id = length >= 2 ? page.getShort(offset) & 0xffff : -1;
            TraceInstance.Named named = instance.formats().get(id);
            if (named == null) {
                return;
            }
            long wallMs = (timestampNs + offsetNs) / NS_PER_MS;
            HardwareEvent event =
                    decoder.decode(named.event(), new TraceRecord(named.format(), page, offset, length), wallMs);
            if (event != null) {
                events++;
                waiting.add(new Timed(timestampNs, event));
                if (waiting.size() >= ORDERED_MAX) {
                    handOn(Long.MAX_VALUE, sink);
                }
            }
        }

        @Override
        public void lost(long count) {
            losing = true;
            lost += Math.max(1, count);
        }
    }
}
