package io.lockstep.telemetry.sensor;

import io.lockstep.telemetry.event.Component;
import io.lockstep.telemetry.event.EventKind;
import io.lockstep.telemetry.event.HardwareEvent;
import io.lockstep.telemetry.event.Raw;
import io.lockstep.telemetry.event.Severity;
import io.lockstep.telemetry.source.EventSource;
import io.lockstep.telemetry.source.Moment;
import io.lockstep.telemetry.source.SourceState;
import io.lockstep.telemetry.source.SourceState.Status;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Consumer;

/**
 * Readings that passed a limit. Each is told once when it passes, and again only after it has come back by a margin: a reading that trembles at its
 * limit is one event. A fan, or a link, that never was there is not missed.
 */
public final class SensorSource implements EventSource {
    /** Between two readings: a host does not heat up faster. */
    static final long INTERVAL_MS = 30_000;

    private static final double CELSIUS_MARGIN = 5;

    /** Of a fan or a voltage, a tenth of the limit. */
    private static final double PART_MARGIN = 0.1;

    private final SensorReader reader;
    private final SensorLimits limits;
    private final Map<String, Boolean> passed = new HashMap<>();
    private final Map<String, Boolean> links = new HashMap<>();
    private final List<Boolean> turned = new ArrayList<>();
    private volatile SourceState state = SourceState.absent("not looked yet", "");
    private long readMs = Long.MIN_VALUE;
    private long events;

    /** @param limits when a reading is worth an event */
    public SensorSource(SensorReader reader, SensorLimits limits) {
        this.reader = reader;
        this.limits = limits;
    }

    @Override
    public String name() {
        return "sensors";
    }

    @Override
    public int poll(Moment at, Consumer<HardwareEvent> sink) {
        if (readMs != Long.MIN_VALUE && at.wallMs() >= readMs && at.wallMs() - readMs < INTERVAL_MS) {
            return 0;
        }
        readMs = at.wallMs();
        long before = events;
        Readings now;
        try {
            now = reader.read();
        } catch (RuntimeException | LinkageError e) {
            state = new SourceState(Status.DEAF, "the sensors cannot be read: " + e, "", events, 0);
            return 0;
        }
        Consumer<HardwareEvent> counting = event -> {
            events++;
            sink.accept(event);
        };
        processor(now, at.wallMs(), counting);
        fans(now.fansRpm(), at.wallMs(), counting);
        links(now.links(), at.wallMs(), counting);
        state = now.none()
                ? SourceState.absent(
                        "neither temperatures, fans, voltages nor network ports",
                        "Load the sensors' drivers (sensors-detect of lm-sensors finds them); virtual machines have none.")
                : SourceState.present(words(now), events);
        return (int) (events - before);
    }

    private void processor(Readings now, long wallMs, Consumer<HardwareEvent> sink) {
        Component cpu = new Component.Sensor("processor", "temperature");
        double celsius = now.cpuCelsius().orElse(Double.NaN);
        int max = limits.cpuCelsiusMax();
        if (max > 0 && passes("celsius", celsius >= max, celsius <= max - CELSIUS_MARGIN)) {
            sink.accept(
                    event(wallMs, EventKind.THERMAL, cpu, "processor at " + number(celsius) + " degrees >= " + max));
        }
        double millivolts = now.cpuVolts().orElse(Double.NaN) * 1000;
        Component core = new Component.Sensor("processor", "voltage");
        int least = limits.cpuMillivoltsMin();
        if (least > 0 && passes("low", millivolts < least, millivolts >= least * (1 + PART_MARGIN))) {
            sink.accept(event(
                    wallMs, EventKind.POWER_SUPPLY, core, "processor at " + number(millivolts) + " mV < " + least));
        }
        int most = limits.cpuMillivoltsMax();
        if (most > 0 && passes("high", millivolts > most, millivolts <= most * (1 - PART_MARGIN))) {
            sink.accept(event(
                    wallMs, EventKind.POWER_SUPPLY, core, "processor at " + number(millivolts) + " mV > " + most));
        }
    }

    private void fans(List<Integer> rpms, long wallMs, Consumer<HardwareEvent> sink) {
        int least = limits.fanRpmMin();
        for (int i = 0; i < rpms.size() && least > 0; i++) {
            if (turned.size() <= i) {
                turned.add(false);
            }
            int rpm = rpms.get(i);
            boolean back = rpm >= least * (1 + PART_MARGIN);
            turned.set(i, turned.get(i) || back);
            if (turned.get(i) && passes("fan" + i, rpm < least, back)) {
                sink.accept(event(
                        wallMs,
                        EventKind.FAN,
                        new Component.Sensor("fan", Integer.toString(i + 1)),
                        "fan at " + rpm + " revolutions a minute < " + least));
            }
        }
    }

    private void links(Map<String, Boolean> now, long wallMs, Consumer<HardwareEvent> sink) {
        now.forEach((name, up) -> {
            Boolean before = links.put(name, up);
            if (before != null && !before.equals(up)) {
                sink.accept(event(
                        wallMs,
                        EventKind.NETWORK_LINK,
                        new Component.Nic(name),
                        up ? "network port has a link" : "network port lost its link"));
            }
        });
        links.keySet().removeIf(name -> {
            boolean gone = !now.containsKey(name);
            if (gone) {
                sink.accept(event(wallMs, EventKind.NETWORK_LINK, new Component.Nic(name), "network port is gone"));
            }
            return gone;
        });
    }

    /** Whether a reading passes its limit now and had not before; one that cannot be read changes nothing. */
    private boolean passes(String name, boolean over, boolean back) {
        boolean was = passed.getOrDefault(name, false);
        passed.put(name, over || (was && !back));
        return over && !was;
    }

    private HardwareEvent event(long wallMs, EventKind kind, Component component, String what) {
        return new HardwareEvent(
                wallMs, kind, Severity.INFORMATIONAL, component, HardwareEvent.NO_ADDRESS, 1, name(), what, Raw.NONE);
    }

    private static String number(double value) {
        return String.format(Locale.ROOT, "%.0f", value);
    }

    private static String words(Readings now) {
        return (now.cpuCelsius().isPresent() ? number(now.cpuCelsius().getAsDouble()) + " degrees, " : "")
                + now.fansRpm().size() + " fans, " + (now.cpuVolts().isPresent() ? "1 voltage, " : "")
                + now.links().size() + " network ports";
    }

    @Override
    public SourceState state() {
        return state;
    }
}
