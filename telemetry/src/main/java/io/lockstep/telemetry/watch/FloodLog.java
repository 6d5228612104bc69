package io.lockstep.telemetry.watch;

import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Consumer;

/**
 * Keeps a flood out of the log: the first line of a subject is written at once, those that follow it are counted, and the last of them is written with
 * their number a minute after. Invariants:
 *
 * <ul>
 *   <li>A subject has at most one line in {@link #EVERY_MS}; {@link #SUBJECTS_MAX} have one of their own, and all others have one together.
 *   <li>What was counted is written at the next {@link #drain} that is due, also when nothing follows.
 * </ul>
 *
 * <p>Any thread.
 */
final class FloodLog {
    /** Between two lines of one subject, milliseconds. */
    static final long EVERY_MS = 60_000;

    /** Subjects with lines of their own at one time: a host with as many is lost, and a reader of its log needs no more. */
    static final int SUBJECTS_MAX = 64;

    private final Consumer<String> out;
    private final Map<Object, Held> subjects = new LinkedHashMap<>();
    private final Held others = new Held();

    private static final class Held {
        long saidMs;
        long count;
        String last = "";

        void hold(String line) {
            count++;
            last = line;
        }
    }

    /** @param out gets each line, in the thread that brought it or drains, and must not wait */
    FloodLog(Consumer<String> out) {
        this.out = out;
    }

    /**
     * Writes a line, or counts it.
     *
     * @param subject equal for lines that say the same of the same thing
     * @param nowMs a clock, milliseconds; never goes back
     */
    synchronized void add(Object subject, String line, long nowMs) {
        Held held = subjects.get(subject);
        if (held != null) {
            held.hold(line);
        } else if (subjects.size() >= SUBJECTS_MAX) {
            if (others.count == 0) {
                others.saidMs = nowMs;
            }
            others.hold(line);
        } else {
            Held first = new Held();
            first.saidMs = nowMs;
            subjects.put(subject, first);
            out.accept(line);
        }
    }

    /** Writes what was counted and is due, and forgets subjects that are quiet; to be called every few seconds. */
    synchronized void drain(long nowMs) {
        for (Iterator<Held> all = subjects.values().iterator(); all.hasNext(); ) {
            Held held = all.next();
            if (nowMs - held.saidMs >= EVERY_MS) {
                if (held.count == 0) {
                    all.remove();
                } else {
                    say(held, nowMs, "");
                }
            }
        }
        if (others.count > 0 && nowMs - others.saidMs >= EVERY_MS) {
            say(others, nowMs, " of various parts");
        }
    }

    /** Writes all that was counted: no more will come. */
    synchronized void end(long nowMs) {
        for (Held held : subjects.values()) {
            say(held, nowMs, "");
        }
        say(others, nowMs, " of various parts");
        subjects.clear();
    }

    private void say(Held held, long nowMs, String what) {
        if (held.count > 0) {
            long seconds = (nowMs - held.saidMs) / 1000;
            out.accept(
                    held.count == 1
                            ? held.last
                            : held.last + "; the last of " + held.count + what + " in " + seconds + " s");
        }
        held.saidMs = nowMs;
        held.count = 0;
    }
}
