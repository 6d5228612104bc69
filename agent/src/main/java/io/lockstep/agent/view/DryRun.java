package io.lockstep.agent.view;

import java.util.List;

/**
 * What {@code protect} would do.
 *
 * @param tracker that would be used
 * @param commandLine of the standby on the peer, an element an argument
 */
public record DryRun(
        String vm,
        long pid,
        String tracker,
        long ramBytes,
        int ramBlocks,
        String qemuVersion,
        List<String> commandLine) {}
