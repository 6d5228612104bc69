package io.lockstep.agent.pairing;

import io.lockstep.agent.pairing.Pairing.Confirmation;
import io.lockstep.agent.pairing.Pairing.Introduction;
import io.lockstep.replication.LockstepException;
import java.io.IOException;
import java.net.BindException;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.SocketTimeoutException;
import java.net.UnknownHostException;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;

/** How two hosts find each other for a {@link Pairing}. What machines say has seconds, what people say has minutes. One thread. */
public final class Meeting {
    private static final int CONNECT_MS = 10_000;
    private static final int SPEAK_MS = 10_000;

    private final int port;
    private final int peopleMs;

    /** Who was met, and where. */
    public record Met(Introduction other, String host) {}

    /**
     * A meeting at a TCP port.
     *
     * @param peopleMs how long to wait for the other host to come, and for a person to answer
     */
    public Meeting(int port, int peopleMs) {
        this.port = port;
        this.peopleMs = peopleMs;
    }

    /**
     * Goes to a host that listens.
     *
     * @throws LockstepException {@code pairing-unreachable}, and those of {@link Pairing#exchange}
     */
    public Met dial(String host, Introduction self, Confirmation confirmation) throws LockstepException, IOException {
        try (Socket socket = new Socket()) {
            try {
                socket.connect(new InetSocketAddress(host, port), CONNECT_MS);
            } catch (UnknownHostException e) {
                throw unreachable(host, "its name is unknown", e);
            } catch (IOException e) {
                throw unreachable(host, String.valueOf(e.getMessage()), e);
            }
            return meet(socket, host, true, self, confirmation);
        }
    }

    /**
     * Waits for a host that dials. Connections of strangers, who do not speak as {@code lockstep pair} does, are closed, and the next one is
     * awaited.
     *
     * @param log is told where it listens, and of strangers
     * @throws LockstepException {@code pairing-port-in-use}, {@code pairing-timeout}, and those of {@link Pairing#exchange}
     */
    public Met listen(Introduction self, Consumer<String> log, Confirmation confirmation)
            throws LockstepException, IOException {
        long deadlineNs = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(peopleMs);
        try (ServerSocket server = bind()) {
            log.accept("waiting for `lockstep pair` on the other host, at port " + server.getLocalPort());
            while (true) {
                long leftMs = TimeUnit.NANOSECONDS.toMillis(deadlineNs - System.nanoTime());
                if (leftMs <= 0) {
                    throw nobodyCame();
                }
                server.setSoTimeout((int) leftMs);
                try (Socket socket = server.accept()) {
                    String host = socket.getInetAddress().getHostAddress();
                    boolean[] introduced = new boolean[1];
                    try {
                        return meet(socket, host, false, self, (code, other) -> {
                            introduced[0] = true;
                            return confirmation.same(code, other);
                        });
                    } catch (LockstepException | IOException e) {
                        if (introduced[0]) {
                            throw e;
                        }
                        log.accept("a connection from " + host + " was no pairing: " + e.getMessage());
                    }
                } catch (SocketTimeoutException e) {
                    throw nobodyCame();
                }
            }
        }
    }

    private Met meet(Socket socket, String host, boolean dialed, Introduction self, Confirmation confirmation)
            throws LockstepException, IOException {
        socket.setSoTimeout(SPEAK_MS);
        boolean[] asked = new boolean[1];
        try {
            Introduction other =
                    Pairing.exchange(socket.getInputStream(), socket.getOutputStream(), dialed, self, (code, who) -> {
                        asked[0] = true;
                        socket.setSoTimeout(peopleMs);
                        return confirmation.same(code, who);
                    });
            return new Met(other, host);
        } catch (IOException e) {
            // The listener's loop tells what a stranger did.
            throw new LockstepException(
                    asked[0] ? "pairing-timeout" : "pairing-failed",
                    asked[0]
                            ? "the other host did not answer: its operator refused, waited for longer than "
                                    + peopleMs / 1000
                                    + " s, or ended it. Nothing was written here; begin again on both hosts."
                            : host + " does not speak as `lockstep pair` does (" + e.getMessage()
                                    + "). Nothing was written. Run `lockstep pair --listen` there, of the same version.",
                    e);
        }
    }

    private ServerSocket bind() throws LockstepException, IOException {
        try {
            return new ServerSocket(port, 1);
        } catch (BindException e) {
            throw new LockstepException(
                    "pairing-port-in-use",
                    "port " + port + " is in use: " + e.getMessage()
                            + ". Another `lockstep pair --listen` runs here, or give --port N on both hosts.",
                    e);
        }
    }

    private LockstepException nobodyCame() {
        return new LockstepException(
                "pairing-timeout",
                "nobody came to port " + port + " within " + peopleMs / 1000
                        + " s. Nothing was written. Run `lockstep pair HOST` on the other host while this one listens, and let TCP"
                        + " port " + port + " through.");
    }

    private LockstepException unreachable(String host, String why, IOException cause) {
        return new LockstepException(
                "pairing-unreachable",
                "cannot reach " + host + " at port " + port + ": " + why
                        + ". Nothing was written. Run `lockstep pair --listen` there first, and let TCP port " + port
                        + " through.",
                cause);
    }
}
