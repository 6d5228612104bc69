package io.lockstep.agent.view;

/** The least pause possible without page work: QMP {@code stop}, device state to a tmpfs file, {@code cont}, so many times. */
public record Floor(String vm, int samples, Quantiles pauseMs) {}
