package io.lockstep.telemetry.watch;

import io.lockstep.telemetry.event.HardwareEvent;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;

/** The last events. Any thread. */
final class EventLog {
    /** About a kilobyte each. */
    static final int KEPT_MAX = 2000;

    private final Deque<SeenEvent> events = new ArrayDeque<>();
    private long sequence;

    synchronized void add(HardwareEvent event, boolean refined) {
        sequence++;
        events.addLast(new SeenEvent(sequence, event, refined));
        if (events.size() > KEPT_MAX) {
            events.removeFirst();
        }
    }

    /** The newest ones after a sequence number, oldest first. */
    synchronized List<SeenEvent> after(long after, int limit) {
        List<SeenEvent> found = new ArrayList<>();
        for (SeenEvent event : events) {
            if (event.sequence() > after) {
                found.add(event);
            }
        }
        return List.copyOf(found.subList(Math.max(0, found.size() - limit), found.size()));
    }
}
