package io.lockstep.perf.bench;

import com.fasterxml.jackson.annotation.JsonInclude;
import org.jspecify.annotations.Nullable;

/**
 * One measured number.
 *
 * @param section whose it is
 * @param name what was measured
 * @param value what came out, in {@code unit}
 * @param reference what it is held against in the same run, in the same unit; null if nothing
 * @param referenceName what that is
 * @param ratio value / reference; null without one
 * @param goal what the ratio should be, e.g. "&lt;= 1.0"; null if there is none
 * @param met whether it is; null without a goal
 */
@JsonInclude(JsonInclude.Include.NON_NULL)
record Figure(
        String section,
        String name,
        double value,
        String unit,
        @Nullable Double reference,
        @Nullable String referenceName,
        @Nullable Double ratio,
        @Nullable String goal,
        @Nullable Boolean met) {

    static Figure of(String section, String name, double value, String unit) {
        return new Figure(section, name, value, unit, null, null, null, null, null);
    }

    /** The same number, held against another of this run. */
    Figure against(String what, double other) {
        return new Figure(section, name, value, unit, other, what, other == 0 ? null : value / other, null, null);
    }

    /** The ratio should be this at most. */
    Figure atMost(double most) {
        return judged("<= " + most, ratio == null ? null : ratio <= most);
    }

    /** The ratio should be this at least. */
    Figure atLeast(double least) {
        return judged(">= " + least, ratio == null ? null : ratio >= least);
    }

    private Figure judged(String wanted, @Nullable Boolean result) {
        return new Figure(section, name, value, unit, reference, referenceName, ratio, wanted, result);
    }
}
