package io.lockstep.telemetry.source;

import static org.assertj.core.api.Assertions.assertThat;

import io.lockstep.telemetry.event.EventKind;
import io.lockstep.telemetry.event.HardwareEvent;
import io.lockstep.telemetry.event.Severity;
import io.lockstep.telemetry.source.SourceState.Status;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class GuestSourceTest {
    private final GuestSource source = new GuestSource();
    private final List<HardwareEvent> events = new ArrayList<>();

    @Test
    void shouldTellOfLostMemoryAsOfTheHostsAndOfAPanicAsOfTheGuests() {
        source.memoryFailure("web1", "guest", "inject", false, 5);
        source.memoryFailure("web1", "hypervisor", "fatal", false, 6);
        source.memoryFailure("web1", "guest", "inject", true, 7);
        source.panicked("web1", "pause", 8);
        assertThat(source.poll(new Moment(9, 0), events::add)).isEqualTo(4);
        assertThat(events)
                .extracting(HardwareEvent::line)
                .containsExactly(
                        "uncorrected error, action optional on a DIMM: memory of virtual machine web1 lost its data, the"
                                + " guest was told (guests)",
                        "fatal error on a DIMM: memory of virtual machine web1 lost its data, QEMU cannot go on (guests)",
                        "uncorrected error, action required on a DIMM: memory of virtual machine web1 lost its data, the"
                                + " guest was told (guests)",
                        "notice on virtual machine web1: the guest's kernel panicked (guests)");
        assertThat(events.get(0).severity()).isEqualTo(Severity.ACTION_OPTIONAL);
        assertThat(events.get(3).kind()).isEqualTo(EventKind.GUEST_PANIC);
        assertThat(events.get(3).immediate()).isFalse();
        assertThat(source.poll(new Moment(9, 0), events::add)).isZero();
    }

    @Test
    void shouldStayBoundedAndSayWhatItLost() {
        for (int i = 0; i < GuestSource.WAITING_MAX + 3; i++) {
            source.panicked("web1", "run", i);
        }
        assertThat(source.poll(new Moment(9, 0), events::add)).isEqualTo(GuestSource.WAITING_MAX);
        assertThat(source.state().status()).isEqualTo(Status.LOSING);
        assertThat(source.state().lost()).isEqualTo(3);
    }
}
