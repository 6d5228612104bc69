package io.lockstep.agent.demo;

/** The demo did not show what it is there to show; the message says what was seen and what was expected. */
public final class DemoFailure extends Exception {
    private static final long serialVersionUID = 1;

    public DemoFailure(String message) {
        super(message);
    }

    public DemoFailure(String message, Throwable cause) {
        super(message, cause);
    }
}
