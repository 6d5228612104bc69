package io.lockstep.replication.protection;

/** How long each step of something took, for the log. One thread. */
final class StepTimes {
    private final StringBuilder text = new StringBuilder();
    private long lastNs;

    /** @param beganNs when the first step began, {@link System#nanoTime()} */
    StepTimes(long beganNs) {
        lastNs = beganNs;
    }

    void done(String step) {
        long nowNs = System.nanoTime();
        text.append(text.isEmpty() ? "" : ", ").append(step).append(" after ");
        text.append(Math.round((nowNs - lastNs) / 100_000.0) / 10.0).append(" ms");
        lastNs = nowNs;
    }

    /** Each step with how long it took. */
    @Override
    public String toString() {
        return text.toString();
    }
}
