package io.lockstep.telemetry.sensor;

import static org.assertj.core.api.Assertions.assertThat;

import io.lockstep.telemetry.event.HardwareEvent;
import io.lockstep.telemetry.source.Moment;
import io.lockstep.telemetry.source.SourceState.Status;
import io.lockstep.telemetry.source.Sysfs;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import org.junit.jupiter.api.Test;

class SensorSourceTest {
    private double celsius = 50;
    private double volts = 1.0;
    private List<Integer> fans = List.of(0, 2000);
    private Map<String, Boolean> links = Map.of("eno1", true, "eno2", false);
    private boolean broken;
    private long nowMs;
    private final List<HardwareEvent> events = new ArrayList<>();
    private final SensorSource source = new SensorSource(
            () -> {
                if (broken) {
                    throw new IllegalStateException("broken on purpose");
                }
                return new Readings(OptionalDouble.of(celsius), fans, OptionalDouble.of(volts), links);
            },
            new SensorLimits(95, 300, 700, 1500));

    private List<String> poll() {
        nowMs += SensorSource.INTERVAL_MS;
        events.clear();
        source.poll(new Moment(nowMs, 0), events::add);
        return events.stream().map(HardwareEvent::line).toList();
    }

    @Test
    void shouldTellOnceWhatPassesItsLimitAndAgainAfterItHasComeBack() {
        assertThat(poll()).as("a fan that never turned, a port without a link").isEmpty();
        assertThat(source.state().detail()).isEqualTo("50 degrees, 2 fans, 1 voltage, 2 network ports");
        celsius = 96;
        assertThat(poll())
                .containsExactly("notice on sensor processor/temperature: processor at 96 degrees >= 95 (sensors)");
        celsius = 92;
        assertThat(poll()).isEmpty();
        celsius = 95;
        assertThat(poll()).as("it trembles at its limit").isEmpty();
        celsius = 80;
        assertThat(poll()).isEmpty();
        celsius = 95;
        assertThat(poll()).hasSize(1);
        fans = List.of(0, 120);
        volts = 0.5;
        assertThat(poll())
                .containsExactly(
                        "notice on sensor processor/voltage: processor at 500 mV < 700 (sensors)",
                        "notice on sensor fan/2: fan at 120 revolutions a minute < 300 (sensors)");
        volts = 1.6;
        assertThat(poll()).containsExactly("notice on sensor processor/voltage: processor at 1600 mV > 1500 (sensors)");
    }

    @Test
    void shouldTellOfLinksThatGoAndComeBack() {
        poll();
        links = Map.of("eno1", false, "eno2", true);
        assertThat(poll())
                .containsExactlyInAnyOrder(
                        "notice on network interface eno1: network port lost its link (sensors)",
                        "notice on network interface eno2: network port has a link (sensors)");
        links = Map.of("eno1", true);
        assertThat(poll())
                .containsExactlyInAnyOrder(
                        "notice on network interface eno1: network port has a link (sensors)",
                        "notice on network interface eno2: network port is gone (sensors)");
        assertThat(poll()).isEmpty();
    }

    @Test
    void shouldReadNoMoreOftenThanItsIntervalAndSurviveWhatBreaks() {
        poll();
        celsius = 99;
        assertThat(source.poll(new Moment(nowMs + SensorSource.INTERVAL_MS - 1, 0), events::add))
                .isZero();
        broken = true;
        assertThat(poll()).isEmpty();
        assertThat(source.state().status()).isEqualTo(Status.DEAF);
        broken = false;
        assertThat(poll()).hasSize(1);
    }

    @Test
    void shouldBeAbsentWithoutHarmWhereThereAreNoSensors() {
        SensorSource none = new SensorSource(new OshiSensors(new Sysfs(Path.of("/nowhere"))), SensorLimits.DEFAULT);
        assertThat(none.poll(new Moment(1, 0), events::add)).isZero();
        assertThat(none.state().status()).isEqualTo(Status.ABSENT);
    }

    @Test
    void shouldReadTheSensorsOfThisHost() {
        SensorSource host = new SensorSource(new OshiSensors(new Sysfs(Path.of("/sys"))), SensorLimits.DEFAULT);
        host.poll(new Moment(1, 0), events::add);
        assertThat(host.state().status()).isIn(Status.PRESENT, Status.ABSENT);
    }
}
