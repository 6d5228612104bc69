package io.lockstep.agent.events;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;

/**
 * The last changes, in a ring. A publisher copies one reference under a lock that nobody holds for longer; readers that fall behind the
 * ring's length lose what was overwritten, and are told so. Any thread.
 */
public final class EventLog {
    /** A busy hour of a host with a hundred VMs; with texts of 200 bytes, 1 MB. */
    public static final int CAPACITY = 4096;

    /** Ids begin at the start's milliseconds times this: they rise over restarts, and stay exact in JSON (below 2^53) until the year 2255. */
    private static final long IDS_PER_MS = 1_000;

    /** Longest text kept of one event. */
    private static final int TEXT_CHARACTERS_MAX = 2_048;

    private final AgentEvent[] ring;
    private final long firstId;
    private final List<Runnable> followers = new CopyOnWriteArrayList<>();
    private long nextId;

    /** As the daemon has it. */
    public EventLog() {
        this(CAPACITY, System.currentTimeMillis());
    }

    /** @param capacity events that are kept, 1 or more */
    public EventLog(int capacity, long startedMs) {
        ring = new AgentEvent[capacity];
        firstId = startedMs * IDS_PER_MS;
        nextId = firstId;
    }

    /**
     * What followed an id.
     *
     * @param lost events that were overwritten before they could be read; -1: unknown, because the id is of another life of the agent
     * @param events oldest first
     * @param lastId of the last one, or the id from which to go on if there is none
     */
    public record Batch(long lost, List<AgentEvent> events, long lastId) {}

    /** Writes down a change. Returns at once, whatever the readers do. */
    public void publish(String kind, String subject, String state, String text) {
        String kept = text.length() <= TEXT_CHARACTERS_MAX ? text : text.substring(0, TEXT_CHARACTERS_MAX) + "…";
        synchronized (ring) {
            AgentEvent event = new AgentEvent(nextId, System.currentTimeMillis(), kind, subject, state, kept);
            ring[slot(nextId)] = event;
            nextId++;
        }
        for (Runnable follower : followers) {
            follower.run();
        }
    }

    /**
     * The events after an id, oldest first.
     *
     * @param limit of their number, 1 or more
     */
    public Batch after(long id, int limit) {
        synchronized (ring) {
            long oldest = Math.max(firstId, nextId - ring.length);
            long from = Math.max(id + 1, oldest);
            long lost = 0;
            if (id > 0 && id + 1 < oldest) {
                lost = id + 1 < firstId ? -1 : oldest - id - 1;
            } else if (id >= nextId) {
                lost = -1;
                from = oldest;
            }
            List<AgentEvent> events = new ArrayList<>();
            for (long next = from; next < nextId && events.size() < limit; next++) {
                events.add(ring[slot(next)]);
            }
            return new Batch(lost, events, events.isEmpty() ? nextId - 1 : from + events.size() - 1);
        }
    }

    /** The id of the last event: whoever goes on from there hears of new ones alone. */
    public long lastId() {
        synchronized (ring) {
            return nextId - 1;
        }
    }

    /** Has something run after each event, on the publisher's thread: it must not wait, and at most set something. */
    public void follow(Runnable follower) {
        followers.add(follower);
    }

    /** Ends {@link #follow}. */
    public void unfollow(Runnable follower) {
        followers.remove(follower);
    }

    private int slot(long id) {
        return (int) ((id - firstId) % ring.length);
    }
}
