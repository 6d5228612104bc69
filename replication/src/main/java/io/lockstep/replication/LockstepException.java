package io.lockstep.replication;

/** A refusal or failure that an operator must understand: a stable code, and a message with cause, values and cure. */
public class LockstepException extends Exception {
    private final String code;

    /**
     * @param code stable, lower case with dashes, e.g. {@code qemu-too-old}
     * @param message cause, values and cure, one or more sentences
     */
    public LockstepException(String code, String message) {
        super(message);
        this.code = code;
    }

    /** As above, with what led to it. */
    public LockstepException(String code, String message, Throwable cause) {
        super(message, cause);
        this.code = code;
    }

    /** The stable code. */
    public String code() {
        return code;
    }
}
