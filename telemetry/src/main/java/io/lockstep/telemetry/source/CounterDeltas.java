package io.lockstep.telemetry.source;

import java.util.HashMap;
import java.util.Map;

/** What counters have grown by since they were last read. The first reading is the start; one that went back began anew. For one thread. */
final class CounterDeltas {
    private final Map<String, Long> last = new HashMap<>();

    /**
     * Takes a reading.
     *
     * @param value at least 0; below 0 it could not be read, which changes nothing
     * @return by how much it grew, at least 0
     */
    long grown(String name, long value) {
        if (value < 0) {
            return 0;
        }
        Long before = last.put(name, value);
        if (before == null) {
            return 0;
        }
        return value >= before ? value - before : value;
    }
}
