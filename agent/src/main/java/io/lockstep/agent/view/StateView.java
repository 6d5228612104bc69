package io.lockstep.agent.view;

/**
 * A state machine's present state.
 *
 * @param code stable number, exported as a metric
 * @param name lower case with dashes, e.g. {@code protected}
 * @param sinceMs when it was entered, milliseconds since 1970
 * @param reason of the last change
 */
public record StateView(int code, String name, long sinceMs, String reason) {}
