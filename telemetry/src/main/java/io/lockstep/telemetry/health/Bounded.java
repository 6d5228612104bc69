package io.lockstep.telemetry.health;

import java.util.LinkedHashMap;
import java.util.Map;

/** A map that forgets what was used longest ago when it is full. */
final class Bounded<K, V> extends LinkedHashMap<K, V> {
    private static final long serialVersionUID = 1;
    private static final float LOAD = 0.75f;

    private final int entriesMax;

    Bounded(int entriesMax) {
        super(16, LOAD, true);
        this.entriesMax = entriesMax;
    }

    @Override
    protected boolean removeEldestEntry(Map.Entry<K, V> eldest) {
        return size() > entriesMax;
    }
}
