package io.lockstep.agent.view;

/**
 * A planned move.
 *
 * @param epoch the last one, with which the VM moved
 * @param downMs from the stop here to the guest running there
 * @param peer that runs it now
 */
public record Switchover(String vm, long epoch, double downMs, String peer) {}
