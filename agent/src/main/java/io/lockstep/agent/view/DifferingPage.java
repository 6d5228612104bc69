package io.lockstep.agent.view;

/** A page of 4 KiB whose content differs between primary and replica: the RAM block's QEMU name, and where in it. */
public record DifferingPage(String block, long offsetBytes) {}
