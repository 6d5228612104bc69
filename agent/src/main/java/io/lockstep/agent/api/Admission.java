package io.lockstep.agent.api;

import io.lockstep.agent.SocketClient;
import java.net.InetSocketAddress;
import java.util.concurrent.TimeUnit;
import org.eclipse.jetty.server.ConnectionMetaData;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.util.Attributes;
import org.jspecify.annotations.Nullable;

/** Lets requests in, each when the budget of its listener has room. Any thread. */
final class Admission {
    /** Attribute of a connection. */
    private static final String CLIENT = Throttle.Client.class.getName();

    private final Budgets budgets;
    private final Overhead overhead;
    private final SocketClient processes = new SocketClient();

    /** @param overhead is told what each answer cost */
    Admission(Budgets budgets, Overhead overhead) {
        this.budgets = budgets;
        this.overhead = overhead;
    }

    /** Has a request's work done now, or later by another thread, without one that waits. */
    void admit(Request request, Runnable work) {
        long waitNs = budgets.of(connector(request)).book(System.nanoTime(), client(request));
        if (waitNs > 0) {
            var unused = request.getComponents()
                    .getScheduler()
                    .schedule(() -> request.getComponents().getExecutor().execute(work), waitNs, TimeUnit.NANOSECONDS);
        } else {
            work.run();
        }
    }

    /** A request that was let in was answered, or is not any more, and has cost so much. */
    void done(Request request, long costNs) {
        overhead.answered(costNs);
        budgets.of(connector(request)).done(System.nanoTime(), costNs, client(request));
    }

    /** Which listener a request came to. */
    static String connector(Request request) {
        return String.valueOf(request.getConnectionMetaData().getConnector().getName());
    }

    /** A connection's requests come one after another, so that nothing is raced for. */
    private Throttle.Client client(Request request) {
        Attributes connection = request.getConnectionMetaData();
        if (connection.getAttribute(CLIENT) instanceof Throttle.Client client) {
            return client;
        }
        Throttle.Client client = budgets.of(connector(request)).client(holder(request.getConnectionMetaData()));
        connection.setAttribute(CLIENT, client);
        return client;
    }

    private @Nullable String holder(ConnectionMetaData connection) {
        if (connection.getRemoteSocketAddress() instanceof InetSocketAddress remote) {
            return ConnectionBound.network(remote.getAddress());
        }
        int process = processes.process(connection.getConnection().getEndPoint().getTransport());
        return process == SocketClient.UNKNOWN ? null : Integer.toString(process);
    }
}
