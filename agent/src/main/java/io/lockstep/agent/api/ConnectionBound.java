package io.lockstep.agent.api;

import com.fasterxml.jackson.core.JsonProcessingException;
import io.lockstep.agent.SocketClient;
import java.io.IOException;
import java.net.Inet6Address;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import org.eclipse.jetty.io.Connection;
import org.eclipse.jetty.io.EndPoint;
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
 * two have a third each, and whoever has none is served as long as one is free. Where everybody may connect, the same holds for users who may not
 * manage the agent, however many processes they have, of all places but {@link #RESERVED}: those are for root and the group, so that these find
 * one also when many users, or one with many numbers, take all that they can. Over TCP the same holds for addresses, of all places. A client of a
 * unix socket that hung up has no place, also while its request waits.
 */
final class ConnectionBound implements Connection.Listener {
    private static final Logger LOG = LoggerFactory.getLogger(ConnectionBound.class);

    /** From one request to the end of the next one's answer. */
    private static final long REQUEST_NS_MAX = TimeUnit.SECONDS.toNanos(20);

    private static final long SWEEP_S = 1;

    private static final int DRAIN_BYTES = 8 << 10;

    /** For those who may manage the agent, at a socket for everybody: some dozen commands and screens. One other user then has (512 - 64) / 2. */
    static final int RESERVED = 64;

    private final int connectionsMax;
    private final long idleTimeoutMs;
    private final @Nullable PeerCredentials allowed;
    private final @Nullable PeerCredentials preferred;
    private final Map<Connection, Place> open = new ConcurrentHashMap<>();
    private final long requestNsMax;
    private final SocketClient client = new SocketClient();

    /** What connections are counted by, and the pronoun for it. */
    private enum Kind {
        PROCESS("it"),
        /** Who may not manage the agent, where others may. */
        USER("he"),
        ADDRESS("it");

        final String pronoun;

        Kind(String pronoun) {
            this.pronoun = pronoun;
        }
    }

    /** Whose connections are counted together. */
    private record Holder(Kind kind, String id) {
        String words() {
            return kind.name().toLowerCase(Locale.ROOT) + " " + id;
        }
    }

    /** Whose it is, null if nobody knows; the requests that were seen, and when there was last a new one. */
    private record Place(@Nullable Holder holder, long requests, long sinceNs) {}

    /**
     * @param idleTimeoutMs of these connections; one that was given a longer one is a stream, which may take its time
     * @param allowed who may connect; null: everybody
     * @param preferred for whom places are reserved, and who has them by process alone; null: everybody at a unix socket has them so
     * @param scheduler on which it looks once a second
     */
    ConnectionBound(
            int connectionsMax,
            long idleTimeoutMs,
            @Nullable PeerCredentials allowed,
            @Nullable PeerCredentials preferred,
            Scheduler scheduler) {
        this(connectionsMax, idleTimeoutMs, allowed, preferred, scheduler, REQUEST_NS_MAX);
    }

    ConnectionBound(
            int connectionsMax,
            long idleTimeoutMs,
            @Nullable PeerCredentials allowed,
            @Nullable PeerCredentials preferred,
            Scheduler scheduler,
            long requestNsMax) {
        this.preferred = preferred;
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
        Holder holder = holder(connection.getEndPoint());
        String refusal = refusal(holder);
        if (refusal != null) {
            closeHungUp();
            refusal = refusal(holder);
        }
        if (refusal == null) {
            open.put(connection, new Place(holder, 0, System.nanoTime()));
        }
        return refusal;
    }

    private @Nullable Holder holder(EndPoint end) {
        if (end.getRemoteSocketAddress() instanceof InetSocketAddress remote) {
            return new Holder(Kind.ADDRESS, network(remote.getAddress()));
        }
        Object transport = end.getTransport();
        int user = preferred == null || preferred.privileged(transport) ? SocketClient.UNKNOWN : client.user(transport);
        if (user != SocketClient.UNKNOWN) {
            return new Holder(Kind.USER, Integer.toUnsignedString(user));
        }
        int process = client.process(transport);
        return process == SocketClient.UNKNOWN ? null : new Holder(Kind.PROCESS, Integer.toString(process));
    }

    /**
     * What one host has to itself: an address; of IPv6, beyond its link, the 64 bits of a prefix (RFC 4291, 2.5.4), below which it takes as many
     * addresses as it likes.
     */
    static String network(InetAddress address) {
        if (!(address instanceof Inet6Address) || address.isLinkLocalAddress() || address.isLoopbackAddress()) {
            return address.getHostAddress();
        }
        ByteBuffer bytes = ByteBuffer.wrap(address.getAddress());
        return String.format(
                "%x:%x:%x:%x::/64",
                bytes.getShort() & 0xffff,
                bytes.getShort() & 0xffff,
                bytes.getShort() & 0xffff,
                bytes.getShort() & 0xffff);
    }

    private @Nullable String refusal(@Nullable Holder holder) {
        int reserved = holder != null && holder.kind == Kind.USER ? RESERVED : 0;
        int free = connectionsMax - open.size() - reserved;
        if (free <= 0) {
            return open.size() + " connections >= " + (connectionsMax - reserved)
                    + ". Try again when others have ended.";
        }
        if (holder == null) {
            return null;
        }
        long own = open.values().stream().filter(p -> holder.equals(p.holder)).count();
        return own < free
                ? null
                : own + " connections of " + holder.words() + " >= " + free
                        + " that are free for others. Close those that " + holder.kind.pronoun + " does not need.";
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
                open.replace(connection, place, new Place(place.holder, requests, nowNs));
            } else if (nowNs - place.sinceNs > requestNsMax
                    && connection.getEndPoint().getIdleTimeout() <= idleTimeoutMs) {
                connection.close();
            }
        });
    }
}
