package io.lockstep.agent;

import io.lockstep.linux.LinuxException;
import io.lockstep.linux.UnixPeer;
import java.io.IOException;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.SocketChannel;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** What the kernel knows of the client of a unix socket. Any thread. */
public final class SocketClient {
    /** Of a client over TCP, or of a connection that is closed. */
    public static final int UNKNOWN = -1;

    private static final Logger LOG = LoggerFactory.getLogger(SocketClient.class);

    private final UnixPeer peer = new UnixPeer();

    /** The process that connected, or {@link #UNKNOWN}. */
    public synchronized int process(@Nullable Object transport) {
        SocketChannel channel = unix(transport);
        try {
            return channel == null ? UNKNOWN : peer.pid(channel);
        } catch (LinuxException e) {
            LOG.debug("no process known: {}", e.getMessage());
            return UNKNOWN;
        }
    }

    /** The user whose process connected, or {@link #UNKNOWN}. */
    public synchronized int user(@Nullable Object transport) {
        SocketChannel channel = unix(transport);
        try {
            return channel == null ? UNKNOWN : peer.uid(channel);
        } catch (LinuxException e) {
            LOG.debug("no user known: {}", e.getMessage());
            return UNKNOWN;
        }
    }

    /** Whether it has closed its end; false where that is not known. */
    public synchronized boolean hungUp(@Nullable Object transport) {
        SocketChannel channel = unix(transport);
        try {
            return channel != null && peer.hungUp(channel);
        } catch (LinuxException e) {
            LOG.debug("not known whether a client hung up: {}", e.getMessage());
            return false;
        }
    }

    private static @Nullable SocketChannel unix(@Nullable Object transport) {
        try {
            return transport instanceof SocketChannel channel
                            && channel.getLocalAddress() instanceof UnixDomainSocketAddress
                    ? channel
                    : null;
        } catch (IOException e) {
            return null; // It is closed.
        }
    }
}
