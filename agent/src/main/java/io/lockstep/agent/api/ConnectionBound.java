package io.lockstep.agent.api;

import com.fasterxml.jackson.core.JsonProcessingException;
import io.lockstep.agent.SocketClient;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import org.eclipse.jetty.io.Connection;
import org.eclipse.jetty.util.thread.Scheduler;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Closes what is opened beyond a number of connections, or by somebody who may not, and what brings no request to its end in time. Jetty's own limit
 * stops accepting and, on a unix socket, does not begin again: the pending ones of clients that hang up early stay counted. Its idle timeout begins
 * anew with each byte: a client that sends one now and then would keep its connection for ever.
 *
 * <p>Invariant: a process that connects to a unix socket gets a place only while it has fewer than are free. So one alone has half of them at most,
 * two have a third each, and whoever has none is served as long as one is free. A client that hung up has no place, also while its request waits.
 */
final class ConnectionBound implements Connection.Listener {
    private static final Logger LOG = LoggerFactory.getLogger(ConnectionBound.class);

    /** From one request to the end of the next one's answer. */
    private static final long REQUEST_NS_MAX = TimeUnit.SECONDS.toNanos(20);

    private static final long SWEEP_S = 1;

    private static final int DRAIN_BYTES = 8 << 10;

    private final int connectionsMax;
    private final long idleTimeoutMs;
    private final @Nullable PeerCredentials allowed;
    private final Map<Connection, Place> open = new ConcurrentHashMap<>();
    private final long requestNsMax;
    private final SocketClient client = new SocketClient();

    /** Whose it is, the requests that were seen, and when there was last a new one. */
    private record Place(int process, long requests, long sinceNs) {}

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
        if (!welcome) {
            connection.close();
            return;
        }
        String refusal = place(connection);
        if (refusal != null) {
            refuse(connection, refusal);
            connection.close();
        }
    }

    @Override
    public void onClosed(Connection connection) {
        open.remove(connection);
    }

    /** Gives it a place; else, why there is none. */
    private synchronized @Nullable String place(Connection connection) {
        int process = client.process(connection.getEndPoint().getTransport());
        String refusal = refusal(process);
        if (refusal != null) {
            closeHungUp();
            refusal = refusal(process);
        }
        if (refusal == null) {
            open.put(connection, new Place(process, 0, System.nanoTime()));
        }
        return refusal;
    }

    private @Nullable String refusal(int process) {
        int free = connectionsMax - open.size();
        if (free <= 0) {
            return open.size() + " connections >= " + connectionsMax + ". Try again when others have ended.";
        }
        if (process == SocketClient.UNKNOWN) {
            return null;
        }
        long own = open.values().stream().filter(p -> p.process == process).count();
        return own < free
                ? null
                : own + " connections of process " + process + " >= " + free
                        + " that are free for others. Close those that it does not need.";
    }

    /** What Jetty notices by itself only once it reads: not while a request waits for its turn, or its answer for the reader. */
    private synchronized void closeHungUp() {
        open.keySet().removeIf(connection -> {
            boolean gone = client.hungUp(connection.getEndPoint().getTransport());
            if (gone) {
                connection.close();
            }
            return gone;
        });
    }

    /** Says why, without waiting: a new connection has room for it. Its request is read away, so that the answer is not lost with it. */
    private static void refuse(Connection connection, String refusal) {
        if (!(connection.getEndPoint().getTransport() instanceof SocketChannel channel)) {
            return;
        }
        try {
            String body = ApiHandler.MAPPER.writeValueAsString(Problem.of(503, "too-many-connections", refusal));
            byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
            String head = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: " + Problem.MEDIA_TYPE
                    + "\r\nContent-Length: " + bytes.length + "\r\nConnection: close\r\n\r\n";
            ByteBuffer answer = ByteBuffer.wrap((head + body).getBytes(StandardCharsets.UTF_8));
            int written = channel.write(answer);
            int read = channel.read(ByteBuffer.allocate(DRAIN_BYTES));
            LOG.debug("{} ({} bytes of {} told, {} read)", refusal, written, answer.limit(), read);
        } catch (JsonProcessingException e) {
            throw new IllegalStateException("a problem cannot be rendered", e);
        } catch (IOException e) {
            LOG.debug("not told that there is no place: {}", e.getMessage());
        }
    }

    private void sweepLater(Scheduler scheduler) {
        var unused = scheduler.schedule(
                () -> {
                    closeHungUp();
                    sweep(System.nanoTime());
                    sweepLater(scheduler);
                },
                SWEEP_S,
                TimeUnit.SECONDS);
    }

    private void sweep(long nowNs) {
        open.forEach((connection, place) -> {
            long requests = connection.getMessagesIn() + connection.getMessagesOut();
            if (requests != place.requests) {
                open.replace(connection, place, new Place(place.process, requests, nowNs));
            } else if (nowNs - place.sinceNs > requestNsMax
                    && connection.getEndPoint().getIdleTimeout() <= idleTimeoutMs) {
                connection.close();
            }
        });
    }
}
