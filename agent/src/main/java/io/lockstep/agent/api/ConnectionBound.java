package io.lockstep.agent.api;

import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import org.eclipse.jetty.io.Connection;
import org.eclipse.jetty.util.thread.Scheduler;
import org.jspecify.annotations.Nullable;

/**
 * Closes what is opened beyond a number of connections, or by somebody who may not, and what brings no request to its end in time. Jetty's own limit
 * stops accepting and, on a unix socket, does not begin again: the pending ones of clients that hang up early stay counted. Its idle timeout begins
 * anew with each byte: a client that sends one now and then would keep its connection for ever.
 */
final class ConnectionBound implements Connection.Listener {
    /** From one request to the end of the next one's answer. */
    private static final long REQUEST_NS_MAX = TimeUnit.SECONDS.toNanos(20);

    private static final long SWEEP_S = 1;

    private final int connectionsMax;
    private final long idleTimeoutMs;
    private final @Nullable PeerCredentials allowed;
    private final Map<Connection, Progress> open = new ConcurrentHashMap<>();
    private final long requestNsMax;

    /** Requests that were seen, and when there was last a new one. */
    private record Progress(long requests, long sinceNs) {}

    /**
     * @param idleTimeoutMs of these connections; one that was given a longer one is a stream, which may take its time
     * @param allowed who may connect; null: everybody
     * @param scheduler on which it looks once a second
     */
    ConnectionBound(int connectionsMax, long idleTimeoutMs, @Nullable PeerCredentials allowed, Scheduler scheduler) {
        this(connectionsMax, idleTimeoutMs, allowed, scheduler, REQUEST_NS_MAX);
    }

    ConnectionBound(
            int connectionsMax,
            long idleTimeoutMs,
            @Nullable PeerCredentials allowed,
            Scheduler scheduler,
            long requestNsMax) {
        this.connectionsMax = connectionsMax;
        this.idleTimeoutMs = idleTimeoutMs;
        this.allowed = allowed;
        this.requestNsMax = requestNsMax;
        sweepLater(scheduler);
    }

    @Override
    public void onOpened(Connection connection) {
        boolean welcome =
                allowed == null || allowed.welcome(connection.getEndPoint().getTransport());
        open.put(connection, new Progress(0, System.nanoTime()));
        if (open.size() > connectionsMax || !welcome) {
            connection.close();
        }
    }

    @Override
    public void onClosed(Connection connection) {
        open.remove(connection);
    }

    private void sweepLater(Scheduler scheduler) {
        var unused = scheduler.schedule(
                () -> {
                    sweep(System.nanoTime());
                    sweepLater(scheduler);
                },
                SWEEP_S,
                TimeUnit.SECONDS);
    }

    private void sweep(long nowNs) {
        open.forEach((connection, progress) -> {
            long requests = connection.getMessagesIn() + connection.getMessagesOut();
            if (requests != progress.requests) {
                open.replace(connection, progress, new Progress(requests, nowNs));
            } else if (nowNs - progress.sinceNs > requestNsMax
                    && connection.getEndPoint().getIdleTimeout() <= idleTimeoutMs) {
                connection.close();
            }
        });
    }
}
