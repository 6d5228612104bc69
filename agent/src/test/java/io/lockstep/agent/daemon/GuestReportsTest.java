package io.lockstep.agent.daemon;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.ObjectMapper;
import io.lockstep.replication.hypervisor.QmpEvent;
import io.lockstep.telemetry.event.HardwareEvent;
import io.lockstep.telemetry.source.GuestSource;
import io.lockstep.telemetry.source.Moment;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class GuestReportsTest {
    private final GuestSource guests = new GuestSource();

    private void report(QmpEvent.Kind kind, String name, String data) throws Exception {
        GuestReports.tell(guests, "web1", new QmpEvent(kind, name, new ObjectMapper().readTree(data)), 5);
    }

    /** Data as the examples of qapi/run-state.json show it. */
    @Test
    void shouldHandOnWhatQemuReportsOfMemoryAndPanicsAndNothingElse() throws Exception {
        report(
                QmpEvent.Kind.OTHER,
                "MEMORY_FAILURE",
                "{\"recipient\":\"guest\",\"action\":\"inject\",\"flags\":{\"action-required\":true,\"recursive\":false}}");
        report(QmpEvent.Kind.GUEST_PANICKED, "GUEST_PANICKED", "{\"action\":\"pause\"}");
        report(QmpEvent.Kind.RESET, "RESET", "{\"guest\":true}");
        report(QmpEvent.Kind.OTHER, "MEMORY_FAILURE", "{}");
        List<HardwareEvent> events = new ArrayList<>();
        guests.poll(new Moment(6, 0), events::add);
        assertThat(events)
                .extracting(HardwareEvent::line)
                .containsExactly(
                        "uncorrected error, action required on a DIMM: memory of virtual machine web1 lost its data, the"
                                + " guest was told (guests)",
                        "notice on virtual machine web1: the guest's kernel panicked (guests)",
                        "uncorrected error, action optional on a DIMM: memory of virtual machine web1 lost its data, the"
                                + " guest does unknown (guests)");
    }
}
