package io.lockstep.telemetry.watch;

import io.lockstep.telemetry.bmc.Bmc;
import io.lockstep.telemetry.bmc.SelSource;
import io.lockstep.telemetry.sensor.OshiSensors;
import io.lockstep.telemetry.sensor.SensorLimits;
import io.lockstep.telemetry.sensor.SensorSource;
import io.lockstep.telemetry.source.AerCounterSource;
import io.lockstep.telemetry.source.BondingSource;
import io.lockstep.telemetry.source.Counters;
import io.lockstep.telemetry.source.EdacSource;
import io.lockstep.telemetry.source.EventSource;
import io.lockstep.telemetry.source.KmsgSource;
import io.lockstep.telemetry.source.PoisonedMemorySource;
import io.lockstep.telemetry.source.PstoreSource;
import io.lockstep.telemetry.source.Sysfs;
import io.lockstep.telemetry.trace.TraceSource;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/**
 * The sources of a host.
 *
 * @param waking sources that wake their reader
 * @param polled sources that must be asked, every few seconds
 * @param edac the one of the polled that knows the layout of memory
 * @param counters how far counters and logs were read, which is kept over restarts of the agent
 */
public record HostSources(List<EventSource> waking, List<EventSource> polled, EdacSource edac, Counters counters) {
    public HostSources {
        waking = List.copyOf(waking);
        polled = List.copyOf(polled);
    }

    /** These and more that are asked several times a second, such as a drill. */
    public HostSources and(EventSource... more) {
        List<EventSource> all = new ArrayList<>(waking);
        Collections.addAll(all, more);
        return new HostSources(all, polled, edac, counters);
    }

    /**
     * Those of the host that this runs on.
     *
     * @param state directory of our own that outlives restarts; must exist
     * @param spool file of our own on a tmpfs, for events that were read and are not kept yet
     * @param instance of tracefs, of this agent alone
     * @param keep whether that instance keeps events while no agent runs
     */
    public static HostSources ofThisHost(Path state, Path spool, String instance, boolean keep) {
        return ofThisHost(state, spool, instance, keep, SensorLimits.DEFAULT);
    }

    /**
     * Those of the host that this runs on.
     *
     * @param state directory of our own that outlives restarts; must exist
     * @param spool file of our own on a tmpfs, for events that were read and are not kept yet
     * @param instance of tracefs, of this agent alone
     * @param keep whether that instance keeps events while no agent runs
     * @param limits when a sensor's reading is worth an event
     */
    public static HostSources ofThisHost(Path state, Path spool, String instance, boolean keep, SensorLimits limits) {
        Sysfs sysfs = new Sysfs(Path.of("/sys"));
        Sysfs procfs = new Sysfs(Path.of("/proc"));
        String boot = procfs.read("sys/kernel/random/boot_id");
        Counters counters = new Counters(boot);
        KmsgSource.takeUp(state.resolve("kmsg"), counters);
        takeUp(state, counters);
        EdacSource edac = new EdacSource(sysfs, counters);
        return new HostSources(
                List.of(
                        TraceSource.open(Path.of("/sys/kernel/tracing"), instance, keep, spool, counters),
                        new KmsgSource(Path.of("/dev/kmsg"), counters)),
                List.of(
                        edac,
                        new AerCounterSource(sysfs, counters),
                        new PoisonedMemorySource(sysfs, procfs, counters),
                        new PstoreSource(new Sysfs(Path.of("/sys/fs/pstore")), counters),
                        new BondingSource(procfs, counters),
                        new SensorSource(new OshiSensors(sysfs), limits),
                        new SelSource(Bmc.at(Path.of("/dev/ipmi0")), counters)),
                edac,
                counters);
    }

    /** Takes up how far an agent read that kept it in files of their own; what is kept with the health replaces it. */
    private static void takeUp(Path state, Counters counters) {
        Sysfs files = new Sysfs(state);
        counters.mark(SelSource.NAME, files.read("sel"));
        files.read("pstore")
                .lines()
                .map(line -> line.split(" ", 2))
                .filter(words -> words.length == 2)
                .forEach(words -> counters.mark(PstoreSource.MARK + words[0], words[1]));
    }
}
