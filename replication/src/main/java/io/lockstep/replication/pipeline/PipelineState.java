package io.lockstep.replication.pipeline;

/** What becomes of published slots. The codes are exported as a metric. */
public enum PipelineState {
    /** No channel: slots are passed over. */
    DETACHED(0),
    /** Slots are encoded and sent. */
    RUNNING(1),
    /** An encoder, the sealer or the channel failed: slots are passed over until the next channel. */
    FAILED(2),
    /** The threads have ended. */
    CLOSED(3);

    private final int code;

    PipelineState(int code) {
        this.code = code;
    }

    /** The metric's value. */
    public int code() {
        return code;
    }
}
