package io.lockstep.telemetry.health;

/**
 * When corrected errors are too many. The defaults favour recall, because moving a VM costs little: mcelog.conf (page, module, socket), rasdaemon
 * (row, CPU), and field studies in which an uncorrected error followed 34 corrected ones in nine minutes on one row.
 *
 * @param pageErrorsMax of one 4 KiB page in the window: it should be taken out of use
 * @param rowErrorsMax of one row in the window
 * @param dimmErrorsMax of one module in the window
 * @param cpuErrorsMax of one processor in the window
 * @param socketErrorsMax of one processor package in the window
 * @param deviceErrorsMax of one other part, such as a PCIe function, in the window
 * @param windowMs milliseconds; the window slides
 * @param fastRowErrorsMax of one row in the fast window
 * @param fastSpreadMax columns of one row, or rows of one bank, with errors in the fast window
 * @param stormErrorsMax of one part in the fast window
 * @param fastWindowMs milliseconds; the window slides
 * @param calmMs after so long without an event the state gets one better; failing and failed parts stay so until they are cleared
 */
public record HealthRules(
        int pageErrorsMax,
        int rowErrorsMax,
        int dimmErrorsMax,
        int cpuErrorsMax,
        int socketErrorsMax,
        int deviceErrorsMax,
        long windowMs,
        int fastRowErrorsMax,
        int fastSpreadMax,
        int stormErrorsMax,
        long fastWindowMs,
        long calmMs) {
    private static final long HOUR_MS = 3_600_000;
    private static final long MINUTE_MS = 60_000;

    /** The defaults. */
    public static final HealthRules DEFAULT =
            new HealthRules(2, 50, 10, 18, 100, 1000, 24 * HOUR_MS, 8, 2, 1000, 10 * MINUTE_MS, 24 * HOUR_MS);
}
