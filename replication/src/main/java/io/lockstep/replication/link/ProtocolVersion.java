package io.lockstep.replication.link;

import io.lockstep.replication.link.LinkException.Kind;
import io.lockstep.replication.wire.HelloDecoder;

/** Which versions of the protocol and of the messages' schema this agent speaks. */
public final class ProtocolVersion {
    /** The newest that this agent speaks; said in its Hello. */
    public static final int PROTOCOL_VERSION = 2;

    /** The oldest version that this agent still understands. */
    public static final int PROTOCOL_VERSION_MIN = 1;

    /** Code of the refusal of a peer that speaks only older ones. */
    public static final String TOO_NEW = "protocol-too-new";

    private static final int REFERENCES_SINCE = 2;
    private static final int SCHEMA_VERSION_MIN = 1;

    private ProtocolVersion() {}

    /** What is spoken with one whose Hello says a version that has been checked: the HelloReply says it. */
    public static int common(int version) {
        return Math.min(version, PROTOCOL_VERSION);
    }

    /** Whether disks' pages may refer to memory in a session. */
    public static boolean hasReferences(int version) {
        return version >= REFERENCES_SINCE;
    }

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
                    TOO_NEW,
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
