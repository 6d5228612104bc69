package io.lockstep.agent.supervisor;

import io.lockstep.linux.LinuxException;
import io.lockstep.linux.UnixDatagram;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Tells the supervisor, ours or systemd, how this process does; sd_notify(3). Any thread. */
public final class Notifier implements AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(Notifier.class);

    private final @Nullable String address;
    private final @Nullable UnixDatagram socket;
    private final long watchdogNs;
    private boolean failed;

    private Notifier(@Nullable String address, @Nullable UnixDatagram socket, long watchdogNs) {
        this.address = address;
        this.socket = socket;
        this.watchdogNs = watchdogNs;
    }

    /** From {@code NOTIFY_SOCKET} and {@code WATCHDOG_USEC}; where nobody supervises, nothing is sent. */
    public static Notifier of(Map<String, String> environment) {
        String address = environment.get("NOTIFY_SOCKET");
        if (address == null || address.isEmpty()) {
            return new Notifier(null, null, 0);
        }
        long watchdogNs = 0;
        try {
            watchdogNs = Long.parseLong(environment.getOrDefault("WATCHDOG_USEC", "0")) * 1_000;
            return new Notifier(address, UnixDatagram.unbound(), watchdogNs);
        } catch (LinuxException | NumberFormatException e) {
            LOG.warn("supervisor is told nothing: {}", e.getMessage());
            return new Notifier(null, null, 0);
        }
    }

    /** Silence after which the supervisor ends this process; 0: never. */
    public long watchdogNs() {
        return watchdogNs;
    }

    /** The agent is in service. */
    public void ready() {
        send("READY=1");
    }

    /** The agent goes on. */
    public void alive() {
        send("WATCHDOG=1");
    }

    /** The agent ends in order. */
    public void stopping() {
        send("STOPPING=1");
    }

    private synchronized void send(String message) {
        if (socket == null || address == null) {
            return;
        }
        try {
            socket.send(address, message);
            failed = false;
        } catch (LinuxException e) {
            // A full queue: the next ping says the same.
            if (!failed) {
                failed = true;
                LOG.warn("supervisor not told {}: {}", message, e.getMessage());
            }
        }
    }

    @Override
    public synchronized void close() {
        if (socket != null) {
            socket.close();
        }
    }
}
