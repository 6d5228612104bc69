package io.lockstep.replication.link;

import io.lockstep.replication.LockstepException;

/** The connection to the peer ended, or what came over it broke a rule. */
public final class LinkException extends LockstepException {
    /** What ended it. */
    public enum Kind {
        /** The peer or the network closed the connection. */
        CLOSED,
        /** Nothing could be sent or received within the timeout. */
        TIMEOUT,
        /** Unknown or wrong certificate, or no TLS 1.3. */
        AUTHENTICATION,
        /** Magic, length, sequence, checksum or content of a frame is wrong. */
        CORRUPT,
        /** The peer speaks another version of the protocol. */
        VERSION,
        /** The peer refused, with its own words. */
        REFUSED
    }

    private final Kind kind;

    public LinkException(Kind kind, String code, String message) {
        super(code, message);
        this.kind = kind;
    }

    public LinkException(Kind kind, String code, String message, Throwable cause) {
        super(code, message, cause);
        this.kind = kind;
    }

    /** What ended the connection. */
    public Kind kind() {
        return kind;
    }
}
