package io.lockstep.agent.supervisor;

import io.lockstep.linux.LinuxException;
import io.lockstep.linux.Pidfd;
import io.lockstep.linux.Poll;
import io.lockstep.linux.UnixDatagram;
import io.lockstep.replication.LockstepException;
import io.lockstep.replication.PassableDirectory;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * What systemd does for a unit with {@code Type=notify}, {@code Restart=always} and {@code WatchdogSec}, for hosts and tests without it: starts
 * the agent, hears its notifications, ends it when they stop, starts it again when it has ended. It never signals any other process: the
 * QEMUs that the agent started live on, as children of init.
 */
public final class Supervisor {
    private static final int SIGKILL = 9;

    /** A start reads no guest memory; a slow disk may keep it some seconds. */
    private static final long START_TIMEOUT_NS = 60_000_000_000L;

    /** An end in order says goodbye to the peers. */
    private static final long STOP_TIMEOUT_MS = 10_000;

    /** Exit status of a refusal: starting it again would change nothing. */
    private static final int REFUSED = 3;

    private final List<String> command;
    private final Path notifySocket;
    private final Runnable afterDeath;
    private final long watchdogNs;
    private final RestartPolicy policy = new RestartPolicy();
    private @Nullable Process child;
    private boolean stopping;

    /**
     * @param command of the agent
     * @param notifySocket path for the agent's notifications
     * @param afterDeath what is to be done for an agent that died, while the next one starts; on a thread of its own
     */
    public Supervisor(List<String> command, Path notifySocket, int watchdogMs, Runnable afterDeath) {
        this.afterDeath = afterDeath;
        this.command = command;
        this.notifySocket = notifySocket;
        this.watchdogNs = TimeUnit.MILLISECONDS.toNanos(watchdogMs);
    }

    /**
     * Supervises until the agent ends in order or refuses to start, or {@link #stop} is called.
     *
     * @return the agent's last exit status
     */
    public int run() throws LockstepException {
        try {
            PassableDirectory.open(
                    Objects.requireNonNull(notifySocket.toAbsolutePath().getParent()));
            Files.deleteIfExists(notifySocket);
            try (UnixDatagram notifications = UnixDatagram.bound(notifySocket.toString())) {
                return supervise(notifications);
            } finally {
                Files.deleteIfExists(notifySocket);
            }
        } catch (IOException e) {
            throw new LockstepException(
                    "supervisor-failed",
                    "cannot supervise the agent: " + e.getMessage() + ". Start it without --supervised.",
                    e);
        }
    }

    /** Ends the agent in order, then {@link #run}; any thread. */
    public void stop() {
        Process process;
        synchronized (this) {
            stopping = true;
            process = child;
        }
        if (process == null) {
            return;
        }
        process.destroy();
        try {
            if (!process.waitFor(STOP_TIMEOUT_MS, TimeUnit.MILLISECONDS)) {
                say("agent " + process.pid() + " did not end within " + STOP_TIMEOUT_MS + " ms; killed.");
                process.destroyForcibly();
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private int supervise(UnixDatagram notifications) throws IOException {
        while (true) {
            Process process;
            synchronized (this) {
                if (stopping) {
                    return 0;
                }
                process = start();
                child = process;
            }
            boolean wasInService = watch(process, notifications);
            if (wasInService) {
                Thread thread = new Thread(afterDeath, "after-death");
                thread.setDaemon(true);
                thread.start();
            }
            int status = awaitStatus(process);
            if (status == REFUSED) {
                return status;
            }
            synchronized (this) {
                if (stopping || status == 0) {
                    return status;
                }
            }
            long delayNs = policy.ended(wasInService);
            say("agent " + process.pid() + " ended with status " + status + "; started again"
                    + (delayNs == 0 ? " at once." : " in " + TimeUnit.NANOSECONDS.toMillis(delayNs) + " ms."));
            drain(notifications);
            if (delayNs > 0) {
                LockSupport.parkNanos(delayNs);
            }
        }
    }

    private Process start() throws IOException {
        ProcessBuilder builder = new ProcessBuilder(command).inheritIO();
        builder.environment().put("NOTIFY_SOCKET", notifySocket.toString());
        builder.environment().put("WATCHDOG_USEC", Long.toString(watchdogNs / 1_000));
        builder.environment().remove("JAVA_TOOL_OPTIONS");
        return builder.start();
    }

    /** Until the process has ended; whether it was in service before. */
    private boolean watch(Process process, UnixDatagram notifications) throws LinuxException {
        boolean inService = false;
        long deadlineNs = System.nanoTime() + START_TIMEOUT_NS;
        boolean stops = false;
        try (Pidfd pidfd = Pidfd.open(process.pid())) {
            Poll poll = new Poll(2);
            poll.set(0, notifications.fd(), Poll.IN);
            poll.set(1, pidfd.fd(), Poll.IN);
            while (true) {
                int ready = poll.await(Math.max(0, deadlineNs - System.nanoTime()));
                if (ready > 0 && poll.ready(1) != 0) {
                    return inService;
                }
                if (ready > 0) {
                    String message = notifications.receive();
                    inService |= message.contains("READY=1");
                    stops |= message.contains("STOPPING=1");
                    if (inService) {
                        deadlineNs = System.nanoTime()
                                + (stops ? TimeUnit.MILLISECONDS.toNanos(STOP_TIMEOUT_MS) : watchdogNs);
                    }
                } else if (System.nanoTime() >= deadlineNs) {
                    say("agent " + process.pid() + " gave no sign of progress for "
                            + TimeUnit.NANOSECONDS.toMillis(inService ? watchdogNs : START_TIMEOUT_NS)
                            + " ms; killed.");
                    pidfd.sendSignal(SIGKILL);
                    deadlineNs = System.nanoTime() + START_TIMEOUT_NS;
                }
            }
        } catch (LinuxException e) {
            if (!process.isAlive()) {
                return inService;
            }
            throw e;
        }
    }

    private static int awaitStatus(Process process) {
        while (true) {
            try {
                return process.waitFor();
            } catch (InterruptedException e) {
                // Ending is asked for by stop(), which ends the process that is waited for.
            }
        }
    }

    /** Forgets what the ended process still had to say. */
    private static void drain(UnixDatagram notifications) throws LinuxException {
        String message;
        do {
            message = notifications.receive();
        } while (!message.isEmpty());
    }

    private static void say(String message) {
        System.err.println("lockstep supervisor: " + message);
    }
}
