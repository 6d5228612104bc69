package io.lockstep.telemetry.event;

import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A fault of which other sources may tell still, as it is kept for the next life of the agent: what they tell then is not counted again. Immutable.
 *
 * @param first the event that began it
 * @param best what all sources know of it
 * @param counts how many errors each source told of
 * @param handed errors that the accounts hold, at least 0
 * @param earlier as the accounts hold it; null if they do not
 * @param place where it was told to have happened, as coarsely as counters count; null if it was not told
 * @param renamed whether its part is better known than it was told
 * @param wallMs when the newest event of it happened, milliseconds since 1970
 */
public record OpenFault(
        HardwareEvent first,
        HardwareEvent best,
        Map<String, Long> counts,
        long handed,
        @Nullable Earlier earlier,
        @Nullable Component place,
        boolean renamed,
        long wallMs) {
    public OpenFault {
        counts = Map.copyOf(counts);
    }
}
