package io.lockstep.agent.view;

/**
 * What the guest waits for in a pause, milliseconds; the parts of one pause follow each other without a gap.
 *
 * @param stopMs QEMU takes the command, stops the VM, and drains and flushes the disks that are mirrored
 * @param deviceStateMs it builds the device state, of which up to 32 KiB come at once; what it flushes of disks that are not mirrored, such as shared
 *     ones, is counted here
 * @param scanMs listing and arming the written pages
 * @param copyMs reading them, and those whose hashes are compared
 * @param stateMs QEMU hands over all of the device state
 * @param startMs it starts the VM and answers
 */
public record PauseParts(
        Quantiles stopMs,
        Quantiles deviceStateMs,
        Quantiles scanMs,
        Quantiles copyMs,
        Quantiles stateMs,
        Quantiles startMs) {}
