package io.lockstep.agent.api;

/**
 * What each listener may cost ({@link Expense}). Invariant: the clients of one use up nothing of another's, so that whoever may only read, from this host or
 * over the network, does not delay those who manage. Any thread.
 */
final class Budgets {
    /** Of one processor, for those who manage. */
    static final int MANAGE_SHARE = 5;

    /** Of one processor, for each of the others. 1/5 + 2 × 1/20 = 3/10, however many ask everywhere; 1/10 is what strangers can cause. */
    static final int READ_SHARE = 20;

    private final Throttle manage;
    private final Throttle readOnly;
    private final Throttle metrics;

    /** @param overhead of a request of any of them */
    Budgets(Overhead overhead) {
        this(
                new Throttle(MANAGE_SHARE, overhead::perRequestNs),
                new Throttle(READ_SHARE, overhead::perRequestNs),
                new Throttle(READ_SHARE, overhead::perRequestNs));
    }

    Budgets(Throttle manage, Throttle readOnly, Throttle metrics) {
        this.manage = manage;
        this.readOnly = readOnly;
        this.metrics = metrics;
    }

    /** @param connector name of the listener's, as {@link ApiServer} gives it */
    Throttle of(String connector) {
        return switch (connector) {
            case ApiServer.READ_ONLY -> readOnly;
            case ApiServer.METRICS -> metrics;
            default -> manage;
        };
    }
}
