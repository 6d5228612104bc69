package io.lockstep.telemetry.source;

import io.lockstep.telemetry.decode.PcieErrors;
import io.lockstep.telemetry.event.EventKind;
import io.lockstep.telemetry.event.HardwareEvent;
import io.lockstep.telemetry.event.Raw;
import io.lockstep.telemetry.event.Severity;
import java.util.List;
import java.util.function.Consumer;

/** Counters of PCI Express errors: Linux Documentation/ABI/testing/sysfs-bus-pci-devices-aer_stats. */
public final class AerCounterSource implements EventSource {
    private static final String ROOT = "bus/pci/devices";

    /** File, word of its total, severity. */
    private record Counter(String file, String total, Severity severity) {}

    private static final List<Counter> COUNTERS = List.of(
            new Counter("aer_dev_correctable", "TOTAL_ERR_COR", Severity.CORRECTED),
            new Counter("aer_dev_nonfatal", "TOTAL_ERR_NONFATAL", Severity.RECOVERABLE),
            new Counter("aer_dev_fatal", "TOTAL_ERR_FATAL", Severity.FATAL));

    private final Sysfs sysfs;
    private final Counters kept;
    private volatile SourceState state;
    private long events;

    /**
     * Over a tree.
     *
     * @param sysfs of {@code /sys}
     * @param kept what the counters were last read at
     */
    public AerCounterSource(Sysfs sysfs, Counters kept) {
        this.sysfs = sysfs;
        this.kept = kept;
        state = SourceState.absent("not looked yet", "");
    }

    @Override
    public String name() {
        return "aer-counters";
    }

    @Override
    public int poll(Moment now, Consumer<HardwareEvent> sink) {
        long before = events;
        int devices = 0;
        for (String device : sysfs.names(ROOT, "[0-9a-fA-F:.]+")) {
            boolean counts = false;
            for (Counter counter : COUNTERS) {
                String text = sysfs.read(ROOT + "/" + device + "/" + counter.file);
                counts |= !text.isEmpty();
                String key = device + "/" + counter.file;
                long value = total(text, counter.total);
                Counters.Growth growth = kept.read(key, value);
                if (growth.count() > 0) {
                    events++;
                    sink.accept(new HardwareEvent(
                            now.wallMs(),
                            EventKind.PCIE,
                            counter.severity,
                            PcieErrors.device(device),
                            HardwareEvent.NO_ADDRESS,
                            growth.count(),
                            name(),
                            "PCIe errors counted by the kernel" + growth.words(),
                            new Raw.Counter(key, value, growth.away(), text.replace('\n', ','))));
                }
            }
            devices += counts ? 1 : 0;
        }
        state = devices == 0
                ? SourceState.absent("no PCI function counts errors", "")
                : SourceState.present(devices + " functions", events);
        return (int) (events - before);
    }

    private static long total(String text, String word) {
        for (String line : text.split("\n", -1)) {
            if (line.startsWith(word + " ")) {
                return Sysfs.parse(line.substring(word.length()).strip(), -1);
            }
        }
        return -1;
    }

    @Override
    public SourceState state() {
        return state;
    }
}
