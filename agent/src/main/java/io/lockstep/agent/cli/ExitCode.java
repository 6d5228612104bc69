package io.lockstep.agent.cli;

/** What every command's exit status says; part of the interface, never renumbered. */
public final class ExitCode {
    public static final int OK = 0;
    /** Something went wrong that was no refusal, or the doctor found something missing. */
    public static final int FAILED = 1;
    /** The command line itself is wrong. */
    public static final int USAGE = 2;
    /** Refused before anything was touched; the message has cause, values and cure. */
    public static final int REFUSED = 3;
    /** No agent answers at the socket. */
    public static final int AGENT_NOT_RUNNING = 4;
    /** {@code verify} found pages that differ. */
    public static final int DIFFERS = 5;

    private ExitCode() {}
}
