package io.lockstep.telemetry.source;

import io.lockstep.telemetry.event.Component;
import io.lockstep.telemetry.event.EventKind;
import io.lockstep.telemetry.event.HardwareEvent;
import io.lockstep.telemetry.event.Raw;
import io.lockstep.telemetry.event.Severity;
import java.util.HashMap;
import java.util.Map;
import java.util.function.Consumer;

/** Ports of bonded network interfaces, {@code /proc/net/bonding/*}: Linux Documentation/networking/bonding.rst. */
public final class BondingSource implements EventSource {
    /** Of a bond's mark: how many of its ports were up when that was last told. */
    private static final String MARK = "bonding ";

    private final Sysfs procfs;
    private final Counters kept;
    private final Map<String, Integer> portsUp = new HashMap<>();
    private volatile SourceState state;
    private long events;

    /**
     * @param procfs of {@code /proc}
     * @param kept what was last told outlives this agent in it: a port that came back while no agent looked must be told, too
     */
    public BondingSource(Sysfs procfs, Counters kept) {
        this.procfs = procfs;
        this.kept = kept;
        state = SourceState.absent("not looked yet", "");
    }

    @Override
    public String name() {
        return "bonding";
    }

    @Override
    public int poll(Moment now, Consumer<HardwareEvent> sink) {
        long before = events;
        int bonds = 0;
        for (String bond : procfs.names("net/bonding", "[A-Za-z0-9_.-]{1,15}")) {
            int ports = 0;
            int up = 0;
            boolean inPort = false;
            for (String line : procfs.read("net/bonding/" + bond).split("\n", -1)) {
                if (line.startsWith("Slave Interface:")) {
                    inPort = true;
                    ports++;
                } else if (inPort && line.startsWith("MII Status:")) {
                    up += line.endsWith(" up") ? 1 : 0;
                    inPort = false;
                }
            }
            bonds++;
            Integer last = portsUp.put(bond, up);
            int previous = last == null ? told(bond, ports) : last;
            if (up != previous) {
                events++;
                sink.accept(event(bond, ports, up, previous, now.wallMs()));
            }
        }
        state = bonds == 0
                ? SourceState.absent("no bonded network interface", "")
                : SourceState.present(bonds + " bonded interfaces", events);
        return (int) (events - before);
    }

    /** Without a word on it, all were up: an agent that starts must not take a port that is down for the normal state. */
    private int told(String bond, int ports) {
        String mark = kept.mark(MARK + bond);
        return mark.matches("\\d{1,4}") ? Integer.parseInt(mark) : ports;
    }

    private HardwareEvent event(String bond, int ports, int up, int previous, long wallMs) {
        EventKind kind = up == ports
                ? EventKind.REDUNDANCY_RESTORED
                : up > 1 || up > previous ? EventKind.REDUNDANCY_DEGRADED : EventKind.REDUNDANCY_LOST;
        return new HardwareEvent(
                wallMs,
                kind,
                Severity.INFORMATIONAL,
                new Component.Nic(bond),
                HardwareEvent.NO_ADDRESS,
                1,
                name(),
                up + " of " + ports + " network ports have a link, before: " + previous,
                new Raw.Marked(MARK + bond, Integer.toString(up), up + " of " + ports + " up"));
    }

    @Override
    public SourceState state() {
        return state;
    }
}
