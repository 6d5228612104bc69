package io.lockstep.agent.demo;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.util.ArrayList;
import java.util.List;

/**
 * The cable between the two hosts: relays TCP, until it goes silent as a host that lost its power does – no byte more, no FIN, no RST, though
 * the kernel that both demo hosts share would send them for a killed process.
 *
 * <p>Invariant: no byte that is read after {@link #silence()} is passed on; what is being written at that instant may still arrive, as on a
 * cable. Thread-safe; two threads for each connection.
 */
final class Relay implements AutoCloseable {
    /** At 400 MB/s and a round trip of 0.1 ms on loopback 40 kB are in flight; larger pieces cost fewer system calls. */
    private static final int BUFFER_BYTES = 256 * 1024;

    private final ServerSocketChannel listener;
    private final InetSocketAddress target;
    private final List<SocketChannel> connections = new ArrayList<>();
    private volatile boolean silent;

    /**
     * Listens on a free port of the loopback address.
     *
     * @throws IOException if it cannot listen
     */
    Relay(InetSocketAddress target) throws IOException {
        this.target = target;
        listener = ServerSocketChannel.open().bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0));
        daemon("relay-accept", this::accept);
    }

    /** Where to connect instead of the target. */
    int port() {
        return listener.socket().getLocalPort();
    }

    /** From now on nothing passes, in either direction, and no connection is closed or accepted. */
    void silence() {
        silent = true;
    }

    private void accept() {
        try {
            while (true) {
                SocketChannel source = listener.accept();
                if (silent) {
                    keep(source);
                    continue;
                }
                SocketChannel onward = SocketChannel.open();
                keep(source);
                keep(onward);
                onward.connect(target);
                source.setOption(StandardSocketOptions.TCP_NODELAY, true);
                onward.setOption(StandardSocketOptions.TCP_NODELAY, true);
                daemon("relay-out", () -> copy(source, onward));
                daemon("relay-back", () -> copy(onward, source));
            }
        } catch (IOException e) {
            return; // Closed, or the target is gone: either way there is nothing to relay to.
        }
    }

    private synchronized void keep(SocketChannel connection) {
        connections.add(connection);
    }

    private void copy(SocketChannel from, SocketChannel to) {
        ByteBuffer buffer = ByteBuffer.allocateDirect(BUFFER_BYTES);
        try {
            while (from.read(buffer.clear()) >= 0) {
                buffer.flip();
                if (!forward(buffer, to)) {
                    return;
                }
            }
            closeUnlessSilent(to);
        } catch (IOException e) {
            closeUnlessSilent(to);
            closeUnlessSilent(from);
        }
    }

    private boolean forward(ByteBuffer buffer, SocketChannel to) throws IOException {
        while (buffer.hasRemaining()) {
            if (silent) {
                return false;
            }
            to.write(buffer);
        }
        return true;
    }

    private void closeUnlessSilent(SocketChannel connection) {
        try {
            if (!silent) {
                connection.close();
            }
        } catch (IOException e) {
            return; // It is closed all the same.
        }
    }

    private static void daemon(String name, Runnable body) {
        Thread thread = new Thread(body, name);
        thread.setDaemon(true);
        thread.start();
    }

    @Override
    public synchronized void close() throws IOException {
        listener.close();
        for (SocketChannel connection : connections) {
            connection.close();
        }
    }
}
