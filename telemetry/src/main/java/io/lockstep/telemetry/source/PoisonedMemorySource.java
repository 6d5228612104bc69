package io.lockstep.telemetry.source;

import io.lockstep.telemetry.event.Component;
import io.lockstep.telemetry.event.EventKind;
import io.lockstep.telemetry.event.HardwareEvent;
import io.lockstep.telemetry.event.Raw;
import io.lockstep.telemetry.event.Severity;
import java.util.function.Consumer;

/**
 * Pages with lost data, as the kernel counts them: {@code node*}{@code /memory_failure/total} (Linux 6.3, {@code mm/memory-failure.c}), and, where
 * there is no such file, {@code HardwareCorrupted} of {@code /proc/meminfo}. Both count the same pages.
 */
public final class PoisonedMemorySource implements EventSource {
    private static final String NODES = "devices/system/node";
    private static final String FIELD = "HardwareCorrupted:";

    /** Pages are counted by meminfo in KiB. */
    private static final long KIB_PER_PAGE = 4;

    private final Sysfs sysfs;
    private final Sysfs procfs;
    private final Counters kept;
    private volatile SourceState state;
    private long events;

    /**
     * Over two trees.
     *
     * @param sysfs of {@code /sys}
     * @param procfs of {@code /proc}
     * @param kept what the counters were last read at
     */
    public PoisonedMemorySource(Sysfs sysfs, Sysfs procfs, Counters kept) {
        this.sysfs = sysfs;
        this.procfs = procfs;
        this.kept = kept;
        state = SourceState.absent("not looked yet", "");
    }

    @Override
    public String name() {
        return "poisoned-memory";
    }

    @Override
    public int poll(Moment now, Consumer<HardwareEvent> sink) {
        long before = events;
        int nodes = 0;
        for (String node : sysfs.names(NODES, "node\\d{1,5}")) {
            String file = NODES + "/" + node + "/memory_failure/total";
            long total = sysfs.number(file, -1);
            nodes += total >= 0 ? 1 : 0;
            hand(kept.read(file, total), file, total, "node " + node.substring(4), now.wallMs(), sink);
        }
        long corruptedKib = corruptedKib();
        long pages = corruptedKib < 0 ? -1 : corruptedKib / KIB_PER_PAGE;
        if (nodes == 0) {
            // The kernel takes pages off it again that are no longer poisoned.
            hand(kept.level(FIELD, pages), FIELD, pages, "this host", now.wallMs(), sink);
        }
        state = nodes == 0 && pages < 0
                ? SourceState.absent("this kernel does not count pages with lost data (CONFIG_MEMORY_FAILURE)", "")
                : SourceState.present(Math.max(0, pages) + " pages with lost data now", events);
        return (int) (events - before);
    }

    private long corruptedKib() {
        for (String line : procfs.read("meminfo").split("\n", -1)) {
            if (line.startsWith(FIELD)) {
                return Sysfs.parse(
                        line.substring(FIELD.length()).replace("kB", "").strip(), -1);
            }
        }
        return -1;
    }

    private void hand(
            Counters.Growth growth,
            String counter,
            long value,
            String where,
            long wallMs,
            Consumer<HardwareEvent> sink) {
        if (growth.count() > 0) {
            events++;
            sink.accept(new HardwareEvent(
                    wallMs,
                    EventKind.PAGE_FAILED,
                    Severity.RECOVERABLE,
                    Component.Memory.ANYWHERE,
                    HardwareEvent.NO_ADDRESS,
                    growth.count(),
                    name(),
                    "pages with lost data" + growth.words(),
                    new Raw.Counter(counter, value, growth.away(), where)));
        }
    }

    @Override
    public SourceState state() {
        return state;
    }
}
