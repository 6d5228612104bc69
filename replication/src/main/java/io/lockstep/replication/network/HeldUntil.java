package io.lockstep.replication.network;

import io.lockstep.replication.LockstepException;
import io.lockstep.replication.link.LinkException;
import java.io.IOException;
import java.net.ConnectException;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * When output that no peer will acknowledge may leave all the same: as soon as the peer cannot promote by itself any more, so that nothing
 * contradicts what the world then sees. Capture thread.
 *
 * <ul>
 *   <li>The peer's end closed the connection: its agent ended, its replica waits for us, as its rules say.
 *   <li>Silence: the peer may fence this host, but promotes no later than it said when the session began. By then we are dead or free.
 *   <li>The peer runs the VM: never.
 * </ul>
 */
public final class HeldUntil {
    private static final long NS_PER_MS = 1_000_000;

    private final long marginNs;
    private long windowNs = Long.MAX_VALUE / 2;
    private boolean waiting;
    private boolean closed;
    private boolean promoted;
    private long lostNs;

    /** @param marginMs for what was on its way to the peer when the session was given up, and for clocks of different speed */
    public HeldUntil(int marginMs) {
        marginNs = marginMs * NS_PER_MS;
    }

    /** @param promotionWindowMs of silence in which the peer may promote by itself; 0: it never does */
    public void sessionBegan(long promotionWindowMs) {
        windowNs = promotionWindowMs * NS_PER_MS;
        waiting = false;
        closed = false;
    }

    /** The session ended, or an attempt to open another failed. */
    public void sessionLost(LockstepException cause, long nowNs) {
        if (!waiting) {
            waiting = true;
            lostNs = nowNs;
        }
        closed |= closedByPeer(cause);
        promoted |= cause.code().equals("peer-promoted");
    }

    /** Whether what is held may go. */
    public boolean over(long nowNs) {
        long neededNs = windowNs == 0 ? 0 : windowNs + marginNs;
        return waiting && !promoted && (closed || nowNs - lostNs >= neededNs);
    }

    private static boolean closedByPeer(LockstepException cause) {
        for (@Nullable Throwable at = cause; at != null; at = at.getCause()) {
            if (at instanceof ConnectException refused
                    && String.valueOf(refused.getMessage()).contains("refused")) {
                return true;
            }
            if (at instanceof LinkException link && link.kind() == LinkException.Kind.CLOSED) {
                return link.getCause() instanceof IOException broken
                        ? reset(broken)
                        : String.valueOf(link.getMessage()).endsWith("closed the connection");
            }
        }
        return false;
    }

    private static boolean reset(IOException broken) {
        String text = String.valueOf(broken.getMessage()).toLowerCase(Locale.ROOT);
        return text.contains("reset") || text.contains("broken pipe");
    }
}
