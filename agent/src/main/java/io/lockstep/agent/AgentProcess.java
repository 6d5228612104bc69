package io.lockstep.agent;

import io.lockstep.agent.api.ApiServer;
import io.lockstep.agent.config.AgentConfig;
import io.lockstep.agent.doctor.HostDoctor;
import io.lockstep.agent.log.AgentLog;
import io.lockstep.agent.supervisor.Notifier;
import io.lockstep.agent.supervisor.WatchdogFeeder;
import io.lockstep.replication.LockstepException;
import io.lockstep.replication.PassableDirectory;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ServiceLoader;
import java.util.concurrent.CountDownLatch;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The agent as a process: one for each root. It starts in the order in which the VMs need it: first what was protected is attached again,
 * then the supervisor is told, and the management socket comes last. It ends the other way round.
 */
public final class AgentProcess implements AutoCloseable {
    private final AgentPaths paths;
    private final FileLock lock;
    private final Daemon daemon;
    private final Notifier notifier;
    private final WatchdogFeeder watchdog;
    private final ApiServer api;

    private AgentProcess(
            AgentPaths paths, FileLock lock, Daemon daemon, Notifier notifier, WatchdogFeeder watchdog, ApiServer api) {
        this.paths = paths;
        this.lock = lock;
        this.daemon = daemon;
        this.notifier = notifier;
        this.watchdog = watchdog;
        this.api = api;
    }

    /** Of the command line: whether peers on this very machine are welcome. */
    public static final String SAME_HOST = "--same-host-for-testing";

    /** The supervisor's way in, past the command line's parser: the root, and {@link #SAME_HOST} if it is wanted. */
    public static void main(String[] arguments) {
        System.exit(
                run(AgentPaths.under(Path.of(arguments[0])), arguments.length > 1 && arguments[1].equals(SAME_HOST)));
    }

    /**
     * Runs the agent until the process is told to end.
     *
     * @param sameHostForTesting whether peers on this very machine are welcome
     * @return the exit status of a refusal; otherwise the process ends inside
     */
    public static int run(AgentPaths paths, boolean sameHostForTesting) {
        try {
            AgentProcess process = start(paths, sameHostForTesting);
            CountDownLatch closed = new CountDownLatch(1);
            Runtime.getRuntime()
                    .addShutdownHook(new Thread(
                            () -> {
                                process.close();
                                AgentLog.stop();
                                closed.countDown();
                            },
                            "shutdown"));
            closed.await();
            return 0;
        } catch (LockstepException e) {
            System.err.println("lockstep agent: " + e.getMessage());
            return 3;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return 1;
        }
    }

    /** Starts all of it. */
    public static AgentProcess start(AgentPaths paths, boolean sameHostForTesting) throws LockstepException {
        FileLock lock = prepare(paths);
        AgentLog.start(paths.logs());
        Logger log = LoggerFactory.getLogger(AgentProcess.class);
        try {
            AgentConfig config = AgentConfig.load(paths);
            Daemon daemon = factory().start(paths, config, sameHostForTesting);
            Notifier notifier = Notifier.of(System.getenv());
            WatchdogFeeder watchdog = WatchdogFeeder.start(daemon::progress, notifier);
            try {
                ApiServer api = ApiServer.start(
                        daemon.operations(),
                        new HostDoctor(paths, config, daemon.operations()),
                        paths.socket(),
                        options(paths, config.api()));
                // Not before: who started the service may ask it at once.
                notifier.ready();
                // Nor before that: a start waits for what it compiles.
                CompilerThreads.giveWay();
                log.info("in service: {}, {}", AgentVersion.TEXT, paths.root());
                return new AgentProcess(paths, lock, daemon, notifier, watchdog, api);
            } catch (LockstepException | RuntimeException e) {
                watchdog.close();
                daemon.close();
                throw e;
            }
        } catch (LockstepException | RuntimeException e) {
            release(lock);
            throw e;
        }
    }

    private static ApiServer.Options options(AgentPaths paths, AgentConfig.Api api) {
        return new ApiServer.Options(
                api.readOnlySocket() ? paths.readOnlySocket() : null,
                api.hideGuestNames(),
                api.metricsHost().isEmpty() ? null : new InetSocketAddress(api.metricsHost(), api.metricsPort()));
    }

    private static DaemonFactory factory() {
        return ServiceLoader.load(DaemonFactory.class)
                .findFirst()
                .orElseThrow(() -> new IllegalStateException("the class path has no DaemonFactory"));
    }

    /** Makes the directories, and makes sure that no other agent uses them. */
    private static FileLock prepare(AgentPaths paths) throws LockstepException {
        Path file = paths.run().resolve("agent.lock");
        try {
            PassableDirectory.open(paths.run());
            PassableDirectory.open(paths.state());
            Files.createDirectories(paths.logs());
            FileChannel channel = FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE);
            FileLock lock = channel.tryLock();
            if (lock != null) {
                return lock;
            }
            channel.close();
        } catch (OverlappingFileLockException e) {
            // Held by this very process: said below.
        } catch (IOException e) {
            throw new LockstepException(
                    "directories-not-writable",
                    "cannot write under " + paths.root() + ": " + e + ". Run as root, or with --root DIR of your own.",
                    e);
        }
        throw new LockstepException(
                "agent-runs-already",
                "another agent holds " + file + ". Stop it, or give this one a --root of its own.");
    }

    private static void release(FileLock lock) {
        try {
            lock.channel().close();
        } catch (IOException e) {
            LoggerFactory.getLogger(AgentProcess.class).debug("lock not released: {}", e.getMessage());
        }
    }

    /** Ends in order; the VMs run on. */
    @Override
    public void close() {
        LoggerFactory.getLogger(AgentProcess.class).info("stopping the agent of {}", paths.root());
        notifier.stopping();
        api.close();
        watchdog.close();
        daemon.close();
        notifier.close();
        release(lock);
    }
}
