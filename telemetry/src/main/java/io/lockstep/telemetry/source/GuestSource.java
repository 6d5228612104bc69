package io.lockstep.telemetry.source;

import io.lockstep.telemetry.event.Component;
import io.lockstep.telemetry.event.EventKind;
import io.lockstep.telemetry.event.HardwareEvent;
import io.lockstep.telemetry.event.Raw;
import io.lockstep.telemetry.event.Severity;
import io.lockstep.telemetry.source.SourceState.Status;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Locale;
import java.util.function.Consumer;

/**
 * What QEMU tells of the VMs that run here: {@code MEMORY_FAILURE} and {@code GUEST_PANICKED} ({@code qapi/run-state.json}). Whoever holds a VM's
 * monitor hands its events in, from any thread and without waiting; they are read by the one that polls.
 */
public final class GuestSource implements EventSource {
    /** Events that wait for the next turn, which comes several times a second; more are counted as lost. */
    static final int WAITING_MAX = 1024;

    private final Deque<HardwareEvent> waiting = new ArrayDeque<>();
    private long events;
    private long lost;

    /**
     * Takes {@code MEMORY_FAILURE}: memory of the host that belongs to a VM lost its data.
     *
     * @param recipient {@code hypervisor}: QEMU's own memory, or {@code guest}
     * @param action {@code ignore}, {@code inject}, {@code fatal} or {@code reset}
     * @param actionRequired whether the guest had read the data
     */
    public void memoryFailure(String vm, String recipient, String action, boolean actionRequired, long wallMs) {
        boolean own = recipient.equals("hypervisor");
        Severity severity = action.equals("fatal") && own
                ? Severity.FATAL
                : actionRequired ? Severity.ACTION_REQUIRED : Severity.ACTION_OPTIONAL;
        String done =
                switch (action) {
                    case "ignore" -> "was not told";
                    case "inject" -> "was told";
                    case "fatal" -> "cannot go on";
                    case "reset" -> "was reset";
                    default -> "does " + action;
                };
        // The memory is the host's: that the guest runs here only shows where.
        offer(new HardwareEvent(
                wallMs,
                EventKind.GUEST_MEMORY,
                severity,
                Component.Memory.ANYWHERE,
                HardwareEvent.NO_ADDRESS,
                1,
                name(),
                "memory of virtual machine " + vm + " lost its data, " + (own ? "QEMU" : "the guest") + " " + done,
                new Raw.Text("recipient " + recipient + " action " + action + " action-required " + actionRequired)));
    }

    /**
     * Takes {@code GUEST_PANICKED}: a guest's own kernel gave up. No fault of the host.
     *
     * @param action {@code pause}, {@code poweroff} or {@code run}
     */
    public void panicked(String vm, String action, long wallMs) {
        offer(new HardwareEvent(
                wallMs,
                EventKind.GUEST_PANIC,
                Severity.INFORMATIONAL,
                new Component.Guest(vm),
                HardwareEvent.NO_ADDRESS,
                1,
                name(),
                "the guest's kernel panicked",
                new Raw.Text("action " + action.toLowerCase(Locale.ROOT))));
    }

    private synchronized void offer(HardwareEvent event) {
        if (waiting.size() < WAITING_MAX) {
            waiting.add(event);
        } else {
            lost++;
        }
    }

    private synchronized Deque<HardwareEvent> take() {
        Deque<HardwareEvent> taken = new ArrayDeque<>(waiting);
        waiting.clear();
        events += taken.size();
        return taken;
    }

    @Override
    public String name() {
        return "guests";
    }

    @Override
    public int poll(Moment now, Consumer<HardwareEvent> sink) {
        Deque<HardwareEvent> taken = take();
        taken.forEach(sink);
        return taken.size();
    }

    @Override
    public synchronized SourceState state() {
        return new SourceState(
                lost > 0 ? Status.LOSING : Status.PRESENT, "events of the VMs that are held here", "", events, lost);
    }
}
