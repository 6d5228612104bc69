package io.lockstep.agent.demo;

/** The demo did not show what it is there to show; the message says what was seen and what was expected. */
final class DemoFailure extends Exception {
    private static final long serialVersionUID = 1;

    DemoFailure(String message) {
        super(message);
    }

    DemoFailure(String message, Throwable cause) {
        super(message, cause);
    }
}
