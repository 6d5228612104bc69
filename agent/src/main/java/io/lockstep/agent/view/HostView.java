package io.lockstep.agent.view;

import java.util.List;

/**
 * The machine that an agent runs on.
 *
 * @param kernel its release
 * @param processors that the agent may use
 * @param memoryBytes of the whole machine; 0 if unknown
 * @param machineId of the installation, machine-id(5); empty if unknown
 * @param bootId of this boot; empty if unknown
 * @param productUuid of SMBIOS; empty if unknown or not readable
 * @param health of its worst part: healthy, watch, degrading, failing or failed
 * @param memoryModules as exactly as they are known
 */
public record HostView(
        String name,
        String kernel,
        String architecture,
        int processors,
        long memoryBytes,
        String machineId,
        String bootId,
        String productUuid,
        String health,
        List<String> memoryModules) {}
