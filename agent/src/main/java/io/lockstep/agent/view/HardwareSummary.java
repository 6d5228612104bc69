package io.lockstep.agent.view;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What of the hardware matters to the VMs here.
 *
 * @param state of this host's worst part
 * @param drill events that were replayed and never happened; null if there are none
 * @param parts that are not healthy, worst first, at most 8
 * @param actions what was done because of them, or would have been, newest last, at most 16
 */
public record HardwareSummary(
        String state,
        HardwareView.@Nullable Drill drill,
        List<HardwareView.Part> parts,
        List<HardwareView.Action> actions) {}
