package io.lockstep.agent.view;

/** A failure: its stable code, its message with cause, values and cure, and when, in milliseconds since 1970. */
public record ErrorView(String code, String message, long atMs) {}
