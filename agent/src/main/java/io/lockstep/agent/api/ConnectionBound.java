package io.lockstep.agent.api;

import java.util.concurrent.atomic.AtomicInteger;
import org.eclipse.jetty.io.Connection;
import org.jspecify.annotations.Nullable;

/**
 * Closes what is opened beyond a number of connections, or by somebody who may not. Jetty's own limit stops accepting and, on a unix socket, does not begin again: the
 * pending ones of clients that hang up early stay counted.
 */
final class ConnectionBound implements Connection.Listener {
    private final int connectionsMax;
    private final AtomicInteger open = new AtomicInteger();

    private final @Nullable PeerCredentials allowed;

    /** @param allowed who may connect; null: everybody */
    ConnectionBound(int connectionsMax, @Nullable PeerCredentials allowed) {
        this.allowed = allowed;
        this.connectionsMax = connectionsMax;
    }

    @Override
    public void onOpened(Connection connection) {
        boolean welcome =
                allowed == null || allowed.welcome(connection.getEndPoint().getTransport());
        if (open.incrementAndGet() > connectionsMax || !welcome) {
            connection.close();
        }
    }

    @Override
    public void onClosed(Connection connection) {
        open.decrementAndGet();
    }
}
