package io.lockstep.telemetry.event;

/**
 * What was told of a fault before it is told again, because more is known of it. Immutable.
 *
 * @param event as it was told last
 * @param corrected errors of it that were counted as corrected, at least 0
 * @param uncorrected errors of it that were counted as calling for action, at least 0
 */
public record Earlier(HardwareEvent event, long corrected, long uncorrected) {
    /** Of an event that was told and counted. */
    public static Earlier of(HardwareEvent event) {
        boolean repaired = !event.immediate() && event.severity() == Severity.CORRECTED;
        return new Earlier(event, repaired ? event.count() : 0, event.immediate() ? event.count() : 0);
    }

    /**
     * The same fault, which is told once more.
     *
     * @param refined it is not counted again
     */
    public Earlier then(HardwareEvent next, boolean refined) {
        Earlier added = of(next);
        return refined
                ? new Earlier(next, corrected, uncorrected)
                : new Earlier(next, corrected + added.corrected, uncorrected + added.uncorrected);
    }

    /** Some of the errors alone. */
    public Earlier part(long count) {
        return new Earlier(event, Math.min(corrected, count), Math.min(uncorrected, count));
    }

    /** Without some of the errors. */
    public Earlier without(long count) {
        return new Earlier(event, Math.max(0, corrected - count), Math.max(0, uncorrected - count));
    }
}
