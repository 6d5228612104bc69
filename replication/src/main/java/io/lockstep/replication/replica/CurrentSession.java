package io.lockstep.replication.replica;

import io.lockstep.replication.DutyCycle;
import io.lockstep.replication.link.ControlMessage;
import org.jspecify.annotations.Nullable;

/**
 * The one session that is the replica's own, if there is one.
 *
 * <p>Invariant: what comes from any other session is nothing to the replica; a session that is not its own any more is ended, or has ended.
 *
 * <p>Any thread reads and sends; the session is changed under the replica's lock.
 */
final class CurrentSession {
    private final DutyCycle rounds = DutyCycle.idle();
    private final DutyCycle liveRounds = DutyCycle.idle();
    private volatile @Nullable ReplicaSession session;

    @Nullable
    ReplicaSession get() {
        return session;
    }

    boolean open() {
        return session != null;
    }

    boolean is(ReplicaSession other) {
        return session == other;
    }

    void set(ReplicaSession opened) {
        session = opened;
    }

    /** It ends by itself, or has ended. */
    void forget() {
        session = null;
    }

    /** Ends it, and there is none. */
    void end() {
        ReplicaSession open = session;
        session = null;
        if (open != null) {
            open.end();
        }
    }

    /** Ends it: its thread will say that it is closed. Any thread. */
    void stop() {
        ReplicaSession open = session;
        if (open != null) {
            open.end();
        }
    }

    /** Sends and forgets; nothing if there is no session. Any thread. */
    void send(ControlMessage message) {
        ReplicaSession open = session;
        if (open != null) {
            open.send(message);
        }
    }

    /** How regularly its thread comes round, over all sessions. */
    DutyCycle rounds() {
        return rounds;
    }

    /** How regularly the thread beside that comes round, which says that this host is here. */
    DutyCycle liveRounds() {
        return liveRounds;
    }
}
