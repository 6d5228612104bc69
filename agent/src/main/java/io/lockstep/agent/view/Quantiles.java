package io.lockstep.agent.view;

/** A distribution over the last epochs; the unit stands in the name of the field that holds it. */
public record Quantiles(double p50, double p99, double max) {
    /** Of nothing yet. */
    public static final Quantiles NONE = new Quantiles(0, 0, 0);
}
