package io.lockstep.replication.link;

/**
 * How long the link waits, in milliseconds.
 *
 * @param connectMs for the TCP connection
 * @param handshakeMs for the whole TLS handshake
 * @param sendMs for a peer that takes no byte off a full connection
 */
public record LinkTimeouts(long connectMs, long handshakeMs, long sendMs) {
    /** A handshake computes for some 5 ms a side; the rest is for a far or a busy peer. */
    public static final LinkTimeouts DEFAULT = new LinkTimeouts(3_000, 3_000, 10_000);

    public LinkTimeouts {
        if (connectMs <= 0 || handshakeMs <= 0 || sendMs <= 0) {
            throw new IllegalArgumentException(
                    "timeouts must be positive: " + connectMs + ", " + handshakeMs + ", " + sendMs + " ms");
        }
    }
}
