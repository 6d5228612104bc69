package io.lockstep.telemetry.replay;

import io.lockstep.telemetry.event.HardwareEvent;
import io.lockstep.telemetry.health.ComponentHealth;
import io.lockstep.telemetry.health.HealthState;
import java.util.List;

/**
 * What an agent would have seen. Immutable.
 *
 * @param format what the recording is
 * @param timesSinceBoot whether its times count from the start of the kernel, and not from 1970
 * @param steps what happened, in order; the first {@link Replay#STEPS_MAX}
 * @param stepCount of all of them
 * @param eventCount errors and other happenings, each as often as it was counted
 * @param malformed what could not be read; the first {@link Replay#MALFORMED_MAX}
 * @param malformedCount of all of it
 * @param health every part to which something happened, worst first, with evidence and recommended action
 * @param worst how the host fared at the worst
 */
public record ReplayResult(
        RecordingFormat format,
        boolean timesSinceBoot,
        List<Step> steps,
        long stepCount,
        long eventCount,
        List<Malformed> malformed,
        long malformedCount,
        List<ComponentHealth> health,
        HealthState worst) {
    public ReplayResult {
        steps = List.copyOf(steps);
        malformed = List.copyOf(malformed);
        health = List.copyOf(health);
    }

    /** Something that would have been seen. */
    public sealed interface Step {
        /** When, milliseconds since 1970 or since boot. */
        long wallMs();

        /** One English line. */
        String line();
    }

    /**
     * An event.
     *
     * @param refined it tells more of one that was counted before
     */
    public record Seen(HardwareEvent event, boolean refined) implements Step {
        @Override
        public long wallMs() {
            return event.wallMs();
        }

        @Override
        public String line() {
            return (refined ? "(more on that) " : "") + event.line();
        }
    }

    /**
     * A part fares otherwise than before.
     *
     * @param health as it is then, with evidence and recommended action
     * @param before how it was
     */
    public record Changed(long wallMs, ComponentHealth health, HealthState before) implements Step {
        @Override
        public String line() {
            String reason = health.evidence().isEmpty()
                    ? "calm"
                    : health.evidence().get(health.evidence().size() - 1);
            return health.component().words() + " is " + health.state().words() + ", was " + before.words() + ": "
                    + reason + (health.action().isEmpty() ? "" : ". " + health.action());
        }
    }

    /**
     * A page has had so many corrected errors that it should be taken out of use.
     *
     * @param event the last of them
     */
    public record Worn(HardwareEvent event) implements Step {
        @Override
        public long wallMs() {
            return event.wallMs();
        }

        @Override
        public String line() {
            return "the page at 0x" + Long.toHexString(event.address()) + " wears out: " + event.line();
        }
    }

    /**
     * What could not be read.
     *
     * @param line from 1; of a binary recording the record
     * @param cause with the values
     */
    public record Malformed(long line, String cause) {}
}
