package io.lockstep.replication.pipeline;

import io.lockstep.replication.LockstepException;

/** The pipeline cannot take more: it failed, is detached or closed, or the link did not drain it in time. */
public final class PipelineException extends LockstepException {
    /** @param code {@code pipeline-failed}, {@code pipeline-full}, {@code pipeline-detached} or {@code pipeline-stuck} */
    public PipelineException(String code, String message) {
        super(code, message);
    }

    /** As above, with what led to it. */
    public PipelineException(String code, String message, Throwable cause) {
        super(code, message, cause);
    }
}
