package io.lockstep.agent.doctor;

import io.lockstep.replication.memory.TrackerFactory;
import io.lockstep.replication.memory.TrackerProbe;
import java.util.List;

/** Whether written pages can be told from others, and how well. */
final class TrackerChecks {
    private final List<TrackerProbe> probes;

    /** Tries the trackers on this process itself. */
    static TrackerChecks ofThisProcess() {
        return new TrackerChecks(TrackerFactory.probe(ProcessHandle.current().pid(), List.of()));
    }

    /** @param probes best first */
    TrackerChecks(List<TrackerProbe> probes) {
        this.probes = probes;
    }

    void examine(List<Finding> findings) {
        boolean better = false;
        boolean any = probes.stream().anyMatch(TrackerProbe::available);
        for (TrackerProbe probe : probes) {
            String check = "tracker-" + probe.name();
            if (probe.available()) {
                findings.add(Finding.ok(check, "works; " + probe.reason()));
                better = true;
            } else if (better) {
                findings.add(Finding.ok(check, "not needed, and not there: " + probe.reason()));
            } else if (any) {
                findings.add(Finding.warning(
                        check,
                        probe.reason(),
                        "Cure what is named; until then a slower tracker is used, whose pauses are longer."));
            } else {
                findings.add(Finding.missing(check, probe.reason(), "Cure what is named: no tracker works here."));
            }
        }
    }
}
