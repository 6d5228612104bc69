package io.lockstep.agent.daemon;

import com.fasterxml.jackson.databind.JsonNode;
import io.lockstep.replication.hypervisor.QmpEvent;
import io.lockstep.telemetry.source.GuestSource;

/** QEMU's reports of hardware and of panics, handed to the hardware's watch: QEMU's {@code qapi/run-state.json}. */
final class GuestReports {
    private GuestReports() {}

    /** Tells of an event if it is one of them; never waits. */
    static void tell(GuestSource guests, String vm, QmpEvent event, long wallMs) {
        JsonNode data = event.data();
        switch (event.name()) {
            case "MEMORY_FAILURE" ->
                guests.memoryFailure(
                        vm,
                        data.path("recipient").asText("unknown"),
                        data.path("action").asText("unknown"),
                        data.path("flags").path("action-required").asBoolean(),
                        wallMs);
            case "GUEST_PANICKED" -> guests.panicked(vm, data.path("action").asText("unknown"), wallMs);
            default -> {
                // No report of hardware.
            }
        }
    }
}
