package io.lockstep.perf.bench;

/** Whether a section still fits into a run of a limited length, by how much longer than expected the ones before it took. Single-threaded. */
final class QuickBudget {
    private final double limitS;
    private double expectedS;
    private double tookS;

    /** @param limitS of all sections, seconds */
    QuickBudget(double limitS) {
        this.limitS = limitS;
    }

    /** Those before it make the measure; the first one always fits. */
    boolean hasRoom(Section section) {
        double slowness = expectedS == 0 ? 0 : tookS / expectedS;
        return tookS + slowness * section.quickSeconds() <= limitS;
    }

    void took(Section section, double seconds) {
        expectedS += section.quickSeconds();
        tookS += seconds;
    }
}
