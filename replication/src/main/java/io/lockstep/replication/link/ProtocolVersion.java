package io.lockstep.replication.link;

import io.lockstep.replication.link.LinkException.Kind;
import io.lockstep.replication.wire.HelloDecoder;

/** Which versions of the protocol and of the messages' schema this agent speaks. */
public final class ProtocolVersion {
    /** What this agent says in its Hello and HelloReply. */
    public static final int PROTOCOL_VERSION = 1;

    /** The oldest version that this agent still understands. */
    public static final int PROTOCOL_VERSION_MIN = 1;

    private static final int SCHEMA_VERSION_MIN = 1;

    private ProtocolVersion() {}

    /**
     * Checks the version that a peer says it speaks.
     *
     * @throws LinkException of kind {@link Kind#VERSION}, {@code protocol-too-old} or {@code protocol-too-new}
     */
    public static void check(int version) throws LinkException {
        if (version < PROTOCOL_VERSION_MIN) {
            throw new LinkException(
                    Kind.VERSION,
                    "protocol-too-old",
                    "peer's protocol version " + version + " < " + PROTOCOL_VERSION_MIN
                            + ". Upgrade lockstep on the peer.");
        }
        if (version > PROTOCOL_VERSION) {
            throw new LinkException(
                    Kind.VERSION,
                    "protocol-too-new",
                    "peer's protocol version " + version + " > " + PROTOCOL_VERSION
                            + ". Upgrade lockstep on this host.");
        }
    }

    /**
     * Checks the schema version in a message's header.
     *
     * @throws LinkException of kind {@link Kind#VERSION}, {@code schema-too-old} or {@code schema-too-new}
     */
    static void checkSchema(int version) throws LinkException {
        if (version < SCHEMA_VERSION_MIN) {
            throw new LinkException(
                    Kind.VERSION,
                    "schema-too-old",
                    "message schema version " + version + " < " + SCHEMA_VERSION_MIN
                            + ". Upgrade lockstep on the peer.");
        }
        if (version > HelloDecoder.SCHEMA_VERSION) {
            throw new LinkException(
                    Kind.VERSION,
                    "schema-too-new",
                    "message schema version " + version + " > " + HelloDecoder.SCHEMA_VERSION
                            + ". Upgrade lockstep on this host.");
        }
    }
}
