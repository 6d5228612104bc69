package io.lockstep.replication.hypervisor;

import com.fasterxml.jackson.databind.JsonNode;

/**
 * Something that QEMU reports by itself, other than STOP and RESUME.
 *
 * @param kind what it means to a protected VM
 * @param name QEMU's name of it
 * @param data its details, an empty object if it has none; e.g. for SHUTDOWN {@code guest} and {@code reason}
 */
public record QmpEvent(Kind kind, String name, JsonNode data) {
    /** The events that have a defined effect on protection. */
    public enum Kind {
        SHUTDOWN,
        RESET,
        DEVICE_DELETED,
        GUEST_PANICKED,
        MIGRATION,
        BALLOON_CHANGE,
        BLOCK_IO_ERROR,
        OTHER;

        static Kind of(String name) {
            for (Kind kind : values()) {
                if (kind.name().equals(name)) {
                    return kind;
                }
            }
            return OTHER;
        }
    }

    /** Whether the guest itself asked for a shutdown. */
    public boolean byGuest() {
        return data.path("guest").asBoolean();
    }
}
