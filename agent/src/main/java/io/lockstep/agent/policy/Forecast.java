package io.lockstep.agent.policy;

import io.lockstep.agent.config.AgentConfig;
import io.lockstep.telemetry.event.Component;
import io.lockstep.telemetry.event.HardwareEvent;
import io.lockstep.telemetry.health.ComponentHealth;
import io.lockstep.telemetry.health.HealthState;
import io.lockstep.telemetry.replay.ReplayResult;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/** What {@link HardwarePolicy} would have done at each step of a replay, by the same rules and the same configuration. For one thread. */
public final class Forecast {
    private static final int PAGE_SHIFT = 12;

    /** Pages that are told; a recording may hold millions of errors. */
    private static final int PAGES_MAX = 8192;

    /** Parts that fare badly at one time; four times as many as have accounts. */
    private static final int PARTS_MAX = 8192;

    private final AgentConfig.Hardware settings;
    private final Set<Component> bad = new HashSet<>();
    private final Set<Long> worn = new HashSet<>();
    private final Set<Long> lost = new HashSet<>();
    private final Set<Integer> cpus = new HashSet<>();
    private boolean passed;

    /**
     * Something that would have followed.
     *
     * @param action its key in the configuration
     * @param mode on, off or dry-run
     * @param text what
     */
    public record Line(String action, String mode, String text) {}

    /** By this configuration. */
    public Forecast(AgentConfig.Hardware settings) {
        this.settings = settings;
    }

    /** What would have followed from a step; empty if nothing. */
    public List<Line> after(ReplayResult.Step step) {
        List<Line> lines = new ArrayList<>();
        if (step instanceof ReplayResult.Changed changed) {
            changed(changed.health(), changed.before(), lines);
        } else if (step instanceof ReplayResult.Seen seen) {
            HardwareEvent event = seen.event();
            if (event.immediate() && !seen.refined()) {
                command(event.line(), lines);
            }
            if (HardwarePolicy.losesPage(event)) {
                page(event, lost, "would be taken out of use hard, unless it is a VM's", lines);
            }
        } else if (step instanceof ReplayResult.Worn page) {
            page(page.event(), worn, "would be taken out of use softly, its content moved", lines);
        }
        return lines;
    }

    private void changed(ComponentHealth part, HealthState before, List<Line> lines) {
        if (part.component() instanceof Component.Guest) {
            return;
        }
        boolean worse = part.state().compareTo(before) > 0;
        if (part.state().compareTo(settings.switchoverState()) < 0) {
            bad.remove(part.component());
        } else if (bad.size() < PARTS_MAX) {
            bad.add(part.component());
        }
        boolean over = !bad.isEmpty();
        if (over && !passed) {
            lines.add(new Line(
                    Evacuation.ACTION,
                    settings.switchover(),
                    "protected VMs would move to their peers, the most important first, if the peers fare better"));
            lines.add(new Line(NewVms.ACTION, settings.refuseNew(), "new VMs and replicas would be refused"));
        }
        passed = over;
        boolean failing = part.state().compareTo(HealthState.DEGRADING) >= 0;
        if (failing && part.component() instanceof Component.Cpu cpu && cpu.cpu() >= 0 && cpus.add(cpu.cpu())) {
            lines.add(new Line(
                    CpuOffline.ACTION,
                    settings.offlineCpus(),
                    "CPU " + cpu.cpu() + " would be taken off line, and QEMU's threads kept off it"));
        }
        boolean told = part.uncorrected() > 0 && part.state().compareTo(HealthState.FAILING) >= 0;
        if (worse && !told) {
            command(Reason.of(part), lines);
        }
    }

    private void page(HardwareEvent event, Set<Long> done, String what, List<Line> lines) {
        if (event.address() != HardwareEvent.NO_ADDRESS
                && done.size() < PAGES_MAX
                && done.add(event.address() >>> PAGE_SHIFT)) {
            String page = String.format("page 0x%x ", event.address() & -(1L << PAGE_SHIFT));
            lines.add(new Line(PageOffline.ACTION, settings.offlinePages(), page + what));
        }
    }

    private void command(String why, List<Line> lines) {
        if (!settings.command().isEmpty()) {
            lines.add(new Line(
                    EventCommand.ACTION,
                    settings.runCommand(),
                    settings.command().get(0) + " would run: " + why));
        }
    }
}
