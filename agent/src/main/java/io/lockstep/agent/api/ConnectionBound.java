package io.lockstep.agent.api;

import java.util.concurrent.atomic.AtomicInteger;
import org.eclipse.jetty.io.Connection;

/**
 * Closes what is opened beyond a number of connections. Jetty's own limit stops accepting and, on a unix socket, does not begin again: the
 * pending ones of clients that hang up early stay counted.
 */
final class ConnectionBound implements Connection.Listener {
    private final int connectionsMax;
    private final AtomicInteger open = new AtomicInteger();

    ConnectionBound(int connectionsMax) {
        this.connectionsMax = connectionsMax;
    }

    @Override
    public void onOpened(Connection connection) {
        if (open.incrementAndGet() > connectionsMax) {
            connection.close();
        }
    }

    @Override
    public void onClosed(Connection connection) {
        open.decrementAndGet();
    }
}
