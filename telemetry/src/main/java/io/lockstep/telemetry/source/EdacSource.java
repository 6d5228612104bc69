package io.lockstep.telemetry.source;

import io.lockstep.telemetry.decode.MemoryLocation;
import io.lockstep.telemetry.event.Component;
import io.lockstep.telemetry.event.EventKind;
import io.lockstep.telemetry.event.HardwareEvent;
import io.lockstep.telemetry.event.Raw;
import io.lockstep.telemetry.event.Severity;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Counters and layout of the kernel's EDAC drivers: Linux Documentation/ABI/testing/sysfs-devices-edac. A controller shows its modules as {@code
 * dimmN} or {@code rankN}, as legacy {@code csrowN}, or both ways, and both count the same errors: the new ones are read where there are any.
 */
public final class EdacSource implements EventSource {
    private static final String ROOT = "devices/system/edac/mc";
    private static final Pattern PLACE = Pattern.compile("(channel|slot|csrow|branch|memory) (\\d{1,9})");

    private final Sysfs sysfs;
    private final Counters kept;
    private volatile SourceState state;
    private volatile List<Component.Memory> layout = List.of();
    private long events;

    /** Whether this reading is of the counters, too. */
    private boolean counting;

    /**
     * Over a tree.
     *
     * @param sysfs of {@code /sys}
     * @param kept what the counters were last read at
     */
    public EdacSource(Sysfs sysfs, Counters kept) {
        this.sysfs = sysfs;
        this.kept = kept;
        state = SourceState.absent("not looked yet", "");
    }

    @Override
    public String name() {
        return "edac";
    }

    /** The modules that were found by the last poll, with size, label and place. Any thread. */
    public List<Component.Memory> layout() {
        return layout;
    }

    /** Reads the layout alone: events that were kept while no agent looked are told by the names of their modules, too. */
    public void look() {
        read(false, 0, event -> {});
    }

    @Override
    public int poll(Moment now, Consumer<HardwareEvent> sink) {
        return read(true, now.wallMs(), sink);
    }

    private synchronized int read(boolean counts, long wallMs, Consumer<HardwareEvent> sink) {
        counting = counts;
        long before = events;
        List<Component.Memory> found = new ArrayList<>();
        List<String> controllers = sysfs.names(ROOT, "mc\\d{1,5}");
        for (String controller : controllers) {
            String home = ROOT + "/" + controller;
            int index = Integer.parseInt(controller.substring(2));
            List<String> modules = sysfs.names(home, "(dimm|rank)\\d{1,5}");
            for (String module : modules) {
                String path = home + "/" + module;
                Component.Memory memory = module(path, index);
                if (memory.bytes() > 0 || !sysfs.exists(path + "/size")) {
                    memory =
                            module.startsWith("rank") && memory.dimm() != -1 ? rank(memory, found) : add(memory, found);
                    counters(path + "/dimm_ce_count", path + "/dimm_ue_count", memory, wallMs, sink);
                }
            }
            if (modules.isEmpty()) {
                legacy(home, index, found, wallMs, sink);
            }
            Component.Memory unknown = Component.Memory.ANYWHERE.at(-1, index, -1, -1);
            counters(home + "/ce_noinfo_count", home + "/ue_noinfo_count", unknown, wallMs, sink);
        }
        layout = List.copyOf(found);
        state = controllers.isEmpty()
                ? SourceState.absent(
                        "no memory controller at /sys/" + ROOT,
                        "Load the EDAC driver of this processor, if it has one; virtual machines have none.")
                : SourceState.present(controllers.size() + " controllers, " + found.size() + " modules", events);
        return (int) (events - before);
    }

    private static Component.Memory add(Component.Memory memory, List<Component.Memory> found) {
        found.add(memory);
        return memory;
    }

    /** Of a driver that lists ranks, two to a module: both are shown as one, as large as both. */
    private static Component.Memory rank(Component.Memory rank, List<Component.Memory> found) {
        Component.Memory module = rank.module();
        // Its size is known when both ranks are: the layout has it.
        Component.Memory place = rank.identified(0, "");
        for (int i = 0; i < found.size(); i++) {
            Component.Memory other = found.get(i);
            if (other.identified(0, "").equals(place.module())) {
                found.set(i, other.identified(other.bytes() + module.bytes(), ""));
                return place;
            }
        }
        found.add(module);
        return place;
    }

    private Component.Memory module(String path, int controller) {
        Map<String, Integer> place = new HashMap<>();
        Matcher match = PLACE.matcher(sysfs.read(path + "/dimm_location"));
        while (match.find()) {
            place.put(match.group(1), Integer.parseInt(match.group(2)));
        }
        Component.Memory named = MemoryLocation.ofLabel(sysfs.read(path + "/dimm_label"), controller);
        Component.Memory located = MemoryLocation.ofSelect(
                place.getOrDefault("csrow", -1),
                Component.Memory.ANYWHERE.at(
                        -1, controller, place.getOrDefault("channel", -1), place.getOrDefault("slot", -1)));
        return named.filledFrom(located).identified(Math.max(0, sysfs.number(path + "/size", 0)) << 20, "");
    }

    private void legacy(
            String home, int controller, List<Component.Memory> found, long wallMs, Consumer<HardwareEvent> sink) {
        for (String row : sysfs.names(home, "csrow\\d{1,5}")) {
            int select = Integer.parseInt(row.substring(5));
            for (String file : sysfs.names(home + "/" + row, "ch\\d{1,5}_ce_count")) {
                int channel = Integer.parseInt(file.substring(2, file.indexOf('_')));
                String path = home + "/" + row + "/ch" + channel;
                Component.Memory memory = MemoryLocation.ofLabel(sysfs.read(path + "_dimm_label"), controller)
                        .filledFrom(MemoryLocation.ofSelect(
                                select, Component.Memory.ANYWHERE.at(-1, controller, channel, -1)));
                // Uncorrected errors are counted for the whole row there: they are told once, below.
                counters(path + "_ce_count", "", rank(memory, found), wallMs, sink);
            }
            Component.Memory whole =
                    MemoryLocation.ofSelect(select, Component.Memory.ANYWHERE.at(-1, controller, -1, -1));
            counters("", home + "/" + row + "/ue_count", whole, wallMs, sink);
        }
    }

    private void counters(
            String corrected, String uncorrected, Component.Memory memory, long wallMs, Consumer<HardwareEvent> sink) {
        grown(corrected, Severity.CORRECTED, "memory errors counted by the memory controller", memory, wallMs, sink);
        grown(
                uncorrected,
                Severity.RECOVERABLE,
                "uncorrected memory errors counted by the memory controller",
                memory,
                wallMs,
                sink);
    }

    private void grown(
            String file,
            Severity severity,
            String what,
            Component.Memory memory,
            long wallMs,
            Consumer<HardwareEvent> sink) {
        long value = file.isEmpty() ? -1 : sysfs.number(file, -1);
        Counters.Growth growth = counting ? kept.read(file, value) : Counters.Growth.NONE;
        if (growth.count() > 0) {
            events++;
            sink.accept(new HardwareEvent(
                    wallMs,
                    EventKind.MEMORY_ERROR,
                    severity,
                    memory,
                    HardwareEvent.NO_ADDRESS,
                    growth.count(),
                    "edac-counters",
                    what + growth.words(),
                    new Raw.Counter(file, value, growth.away(), file)));
        }
    }

    @Override
    public SourceState state() {
        return state;
    }
}
