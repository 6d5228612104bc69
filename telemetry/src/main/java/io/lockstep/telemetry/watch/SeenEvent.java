package io.lockstep.telemetry.watch;

import io.lockstep.telemetry.event.HardwareEvent;

/**
 * An event in the agent's memory.
 *
 * @param sequence from 1, one higher for each
 * @param event what happened
 * @param refined whether it tells more of one that was counted before
 */
public record SeenEvent(long sequence, HardwareEvent event, boolean refined) {}
