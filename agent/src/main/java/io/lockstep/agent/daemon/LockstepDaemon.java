package io.lockstep.agent.daemon;

import io.lockstep.agent.AgentPaths;
import io.lockstep.agent.Daemon;
import io.lockstep.agent.VmOperations;
import io.lockstep.agent.config.AgentConfig;
import io.lockstep.agent.events.AgentEvent;
import io.lockstep.agent.events.EventLog;
import io.lockstep.agent.policy.ActionLog;
import io.lockstep.agent.policy.HostHealth;
import io.lockstep.agent.policy.NewVms;
import io.lockstep.agent.supervisor.ProgressSource;
import io.lockstep.replication.LockstepException;
import io.lockstep.replication.PassableDirectory;
import io.lockstep.replication.journal.JournalLimits;
import io.lockstep.replication.link.HostIdentity;
import io.lockstep.replication.link.Identity;
import io.lockstep.replication.link.LinkDialer;
import io.lockstep.replication.link.LinkListener;
import io.lockstep.replication.link.LinkTimeouts;
import io.lockstep.replication.protection.ProtectedVm;
import io.lockstep.replication.replica.Fence;
import io.lockstep.replication.replica.FenceCommand;
import io.lockstep.replication.replica.PromotedVm;
import io.lockstep.replication.replica.ReplicaConfig;
import io.lockstep.replication.replica.ReplicaHost;
import io.lockstep.replication.replica.ReplicaListener;
import io.lockstep.replication.replica.ReplicaState;
import io.lockstep.replication.wire.AckLevel;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The daemon: the VMs that it protects, the replicas that it holds, the port on which primaries call. Starting, it first takes up the
 * protections of its life before; then the replicas; then it listens.
 */
final class LockstepDaemon implements Daemon {
    private static final Logger LOG = LoggerFactory.getLogger(LockstepDaemon.class);

    private final Protections protections;
    private final ReplicaHost replicas;
    private final LinkListener listener;
    private final Hardware hardware;
    private final Drills drills;
    private final VmOperations operations;

    private LockstepDaemon(
            Protections protections,
            ReplicaHost replicas,
            LinkListener listener,
            Hardware hardware,
            Drills drills,
            VmOperations operations) {
        this.protections = protections;
        this.replicas = replicas;
        this.listener = listener;
        this.hardware = hardware;
        this.drills = drills;
        this.operations = operations;
    }

    static LockstepDaemon start(AgentPaths paths, AgentConfig config, boolean sameHostForTesting)
            throws LockstepException {
        long startedMs = System.currentTimeMillis();
        EventLog events = new EventLog();
        Identity identity = Identity.openOrCreate(paths.identity());
        LinkDialer dialer = new LinkDialer(identity, LinkTimeouts.DEFAULT);
        Path drillDirectory = passable(paths.run().resolve("drill"));
        Standbys standbys = new Standbys(config, passable(paths.run().resolve("standby")));
        HostHealth health = new HostHealth();
        ActionLog actions = new ActionLog(events);
        NewVms newVms = new NewVms(config, health, actions);
        HostIdentity host = HostIdentity.current(sameHostForTesting);
        Protections protections = new Protections(paths, config, dialer, events, host, health);
        protections.takeUp();
        ReplicaHost replicas = new ReplicaHost(
                replicaConfig(paths, config, host),
                standbys,
                new DrillStandbys(config, drillDirectory),
                fence(config),
                new ReplicaLog(events),
                newVms);
        Drills drills = new Drills(config.drill(), paths.state(), replicas, protections, events);
        Hardware hardware = null;
        try {
            hardware = Hardware.ofThisHost(
                    paths,
                    config,
                    health,
                    actions,
                    () -> Movable.all(protections.active()),
                    protections.guests(),
                    events);
            Set<String> fingerprints = config.peers().values().stream()
                    .map(AgentConfig.Peer::fingerprint)
                    .collect(Collectors.toUnmodifiableSet());
            LinkListener listener = new LinkListener(
                    new InetSocketAddress(
                            config.listen().address(), config.listen().port()),
                    identity,
                    () -> fingerprints,
                    LinkTimeouts.DEFAULT,
                    replicas::accept);
            return new LockstepDaemon(
                    protections,
                    replicas,
                    listener,
                    hardware,
                    drills,
                    new Operations(
                            paths,
                            config,
                            identity,
                            listener,
                            protections,
                            replicas,
                            standbys,
                            drills,
                            drillDirectory,
                            hardware,
                            newVms,
                            events,
                            startedMs));
        } catch (LockstepException | RuntimeException e) {
            if (hardware != null) {
                hardware.close();
            }
            drills.close();
            protections.close();
            replicas.close();
            throw e;
        }
    }

    /** Each VM's QEMU has a directory that is its user's, two levels down. */
    private static Path passable(Path directory) throws LockstepException {
        try {
            return PassableDirectory.create(directory, directory);
        } catch (IOException e) {
            throw new LockstepException(
                    "directories-not-writable",
                    "cannot make " + directory + ": " + e + ". Correct its owner or mode.",
                    e);
        }
    }

    private static ReplicaConfig replicaConfig(AgentPaths paths, AgentConfig config, HostIdentity host) {
        AgentConfig.Journal journal = config.journal();
        ReplicaConfig defaults = ReplicaConfig.defaults(
                paths.state().resolve("replicas"), config.replica().directory());
        return new ReplicaConfig(
                defaults.stateDirectory(),
                defaults.memoryDirectory(),
                new JournalLimits(journal.segmentBytes(), journal.bytesMax(), journal.ageMsMax()),
                config.replica().ackLevel().equals("journal") ? AckLevel.JOURNAL : AckLevel.MEMORY,
                defaults.applyLagMax(),
                config.fence().timeoutMs(),
                defaults.fenceRetryMs(),
                defaults.standbyTimeoutMs(),
                host);
    }

    private static @Nullable Fence fence(AgentConfig config) {
        List<String> command = config.fence().command();
        return command.isEmpty()
                ? null
                : new FenceCommand(command, config.fence().timeoutMs());
    }

    @Override
    public VmOperations operations() {
        return operations;
    }

    @Override
    public List<ProgressSource> progress() {
        List<ProgressSource> sources = new ArrayList<>();
        for (ProtectedVm vm : protections.active()) {
            sources.add(new CaptureProgress(vm));
        }
        return sources;
    }

    /** The watchdog's view of a capture thread. */
    private record CaptureProgress(ProtectedVm vm) implements ProgressSource {
        @Override
        public String name() {
            return "capture " + vm.ticket().vmName();
        }

        @Override
        public long lastProgressNs() {
            return vm.progressNs();
        }

        @Override
        public long progressTimeoutNs() {
            return vm.progressTimeoutNs();
        }
    }

    @Override
    public void close() {
        hardware.close();
        listener.close();
        drills.close();
        protections.close();
        replicas.close();
    }

    private static final class ReplicaLog implements ReplicaListener {
        private final EventLog events;

        ReplicaLog(EventLog events) {
            this.events = events;
        }

        @Override
        public void stateChanged(String vm, ReplicaState from, ReplicaState to, String reason) {
            LOG.info("{}: replica {} -> {}: {}", vm, from.label(), to.label(), reason);
            events.publish(AgentEvent.REPLICA, vm, to.label(), reason);
        }

        @Override
        public void promoted(PromotedVm promoted) {
            events.publish(
                    AgentEvent.PROMOTION,
                    promoted.vm(),
                    promoted.reason().label(),
                    "runs here from epoch " + promoted.epoch());
        }

        @Override
        public void error(String vm, String code, String message) {
            LOG.warn("{}: replica: {} ({})", vm, message, code);
            events.publish(AgentEvent.ERROR, vm, code, message);
        }
    }
}
