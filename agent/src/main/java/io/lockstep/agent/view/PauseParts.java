package io.lockstep.agent.view;

/**
 * What a pause is made of, milliseconds; the parts of one pause follow each other without a gap.
 *
 * @param stopMs QEMU stops the VM, drains and flushes its disks, and begins to write its device state
 * @param scanMs listing and arming the written pages
 * @param copyMs reading them, and those whose hashes are compared
 * @param startMs reading the rest of the device state, and QEMU starting the VM
 */
public record PauseParts(Quantiles stopMs, Quantiles scanMs, Quantiles copyMs, Quantiles startMs) {}
