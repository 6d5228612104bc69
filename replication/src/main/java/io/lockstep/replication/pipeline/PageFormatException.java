package io.lockstep.replication.pipeline;

import io.lockstep.replication.LockstepException;

/** Encoded pages break a rule of {@link PageRecord}: a fault of the sender, or of what stored them. */
public final class PageFormatException extends LockstepException {
    /** The code of every such failure. */
    public static final String CODE = "page-record-malformed";

    /** @param message the comparison that failed, with its values */
    public PageFormatException(String message) {
        super(CODE, message);
    }
}
