package io.lockstep.telemetry.source;

import io.lockstep.telemetry.event.Raw;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;

/**
 * What counters of the kernel's have grown by since they were last read. The first reading is the start; one that went back began anew at zero,
 * because its driver was loaded again. An agent that starts again in the same life of the kernel takes up what the one before had handed on, and
 * how far it had read that life's logs. Any thread.
 */
public final class Counters {
    /** Three of each PCI function and two of each memory module: 10,000 functions, rounded up. What is beyond is not followed. */
    static final int COUNTERS_MAX = 32_768;

    private final String boot;
    private final Map<String, Long> seen = new HashMap<>();
    private final Map<String, Long> settled = new HashMap<>();
    private final Set<String> restored = new HashSet<>();
    private final Map<String, Long> saved = new HashMap<>();
    private final Map<String, String> marks = new HashMap<>();

    /**
     * What a counter has grown by.
     *
     * @param count at least 0
     * @param away whether that was while no agent looked
     */
    record Growth(long count, boolean away) {
        static final Growth NONE = new Growth(0, false);

        /** Behind what is counted. */
        String words() {
            return away ? " while no agent looked" : "";
        }
    }

    /**
     * Of one life of the kernel.
     *
     * @param boot its identity, {@code /proc/sys/kernel/random/boot_id}; empty if it is not known: then nothing of an earlier life is taken up
     */
    public Counters(String boot) {
        this.boot = boot;
    }

    /** The identity of this life of the kernel; empty if it is not known. */
    public String boot() {
        return boot;
    }

    /**
     * Takes a reading.
     *
     * @param name tells the counter from all others
     * @param value at least 0; below 0 it could not be read, which changes nothing
     */
    Growth read(String name, long value) {
        return read(name, value, 0);
    }

    /** As {@link #read}, of a number that may fall, too: that is no growth, and what it fell to is the new start. */
    Growth level(String name, long value) {
        return read(name, value, value);
    }

    private synchronized Growth read(String name, long value, long startAfterFall) {
        Long before = seen.get(name);
        if (value < 0 || (before == null && seen.size() >= COUNTERS_MAX)) {
            return Growth.NONE;
        }
        boolean away = restored.remove(name);
        seen.put(name, value);
        if (before == null) {
            settled.put(name, value);
            return Growth.NONE;
        }
        if (value < before) {
            settled.put(name, startAfterFall);
            return new Growth(value - startAfterFall, away);
        }
        return new Growth(value - before, away);
    }

    /** What a counter had grown by at this reading has been handed on. */
    public synchronized void settle(Raw.Counter counter) {
        settled.computeIfPresent(
                counter.name(), (name, before) -> Math.min(counter.value(), seen.getOrDefault(name, before)));
    }

    /** All that a log of this life of the kernel says up to a position has been handed on. */
    public synchronized void pass(String log, long position) {
        settled.merge(log, position, Math::max);
    }

    /** Up to which position a log was handed on; -1 if nothing was. */
    public synchronized long passed(String log) {
        return settled.getOrDefault(log, -1L);
    }

    /** What was handed on up to these values outlives this agent. */
    public synchronized void saved(Map<String, Long> values) {
        saved.putAll(values);
    }

    /** Up to which position what a log said outlives this agent; -1 if nothing does. */
    public synchronized long saved(String log) {
        return saved.getOrDefault(log, -1L);
    }

    /** How far a log was handed on that outlives the kernel, in its source's words; empty if nothing was. */
    public synchronized String mark(String name) {
        return marks.getOrDefault(name, "");
    }

    /** Marks how far such a log was handed on; an empty text forgets it. */
    public synchronized void mark(String name, String text) {
        if (text.isEmpty()) {
            marks.remove(name);
        } else {
            marks.put(name, text);
        }
    }

    /** All marks. */
    public synchronized Map<String, String> marks() {
        return Map.copyOf(marks);
    }

    /** Takes up the marks that the agent before left, also in an earlier life of the kernel. */
    public synchronized void restoreMarks(Map<String, String> kept) {
        marks.putAll(kept);
    }

    /** What each counter stood at when its growth was last handed on whole, and the positions in logs. */
    public synchronized Map<String, Long> settled() {
        return Map.copyOf(settled);
    }

    /** Takes up what the agent before left in the same life of the kernel; to be called before the first reading. */
    public synchronized void restore(Map<String, Long> values) {
        seen.putAll(values);
        settled.putAll(values);
        saved.putAll(values);
        restored.addAll(values.keySet());
    }
}
