package io.lockstep.telemetry.health;

import java.util.Locale;

/** How a part of the host fares, best first. The codes are stable: they are stored and exported as a metric. */
public enum HealthState {
    /** Nothing happened for long. */
    HEALTHY(0),
    /** Something happened that may have been chance. */
    WATCH(1),
    /** It happens again, in a pattern that precedes failures. */
    DEGRADING(2),
    /** Data was lost there, or what stood in for it is gone. */
    FAILING(3),
    /** Lost data was used, or the host died of it before. */
    FAILED(4);

    private final int code;

    HealthState(int code) {
        this.code = code;
    }

    /** The stable code. */
    public int code() {
        return code;
    }

    /** By its code; {@link #FAILED} for one that is not known, which a newer version may have written. */
    static HealthState of(int code) {
        return code >= 0 && code < values().length ? values()[code] : FAILED;
    }

    /** As it is shown: lower case. */
    public String words() {
        return name().toLowerCase(Locale.ROOT);
    }
}
