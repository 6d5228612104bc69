package io.lockstep.replication.replica;

import io.lockstep.replication.DutyCycle;
import io.lockstep.replication.LockstepException;
import io.lockstep.replication.VmDirectory;
import io.lockstep.replication.journal.EpochEntry;
import io.lockstep.replication.link.ControlMessage.DrillReport;
import io.lockstep.replication.link.FrameChannel;
import io.lockstep.replication.link.HelloCodec;
import io.lockstep.replication.link.LinkException;
import io.lockstep.replication.link.ProtocolVersion;
import io.lockstep.replication.link.SessionHello;
import io.lockstep.replication.link.SessionReply;
import io.lockstep.replication.wire.HelloStatus;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.Stream;
import org.agrona.concurrent.UnsafeBuffer;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The peer's side of all sessions: the replicas of this host. Thread-safe. */
public final class ReplicaHost implements AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(ReplicaHost.class);
    private static final int REPLICAS_MAX = 256; // far more than a host's memory holds
    private static final long HELLO_TIMEOUT_MS = 5_000;
    private static final long TICK_NS = TimeUnit.MILLISECONDS.toNanos(100);

    private final ReplicaEnvironment env;
    private final Map<String, Entry> replicas = new ConcurrentSkipListMap<>();
    private volatile boolean closed;

    private record Entry(Replica replica, Thread keeper, DutyCycle keeping) {}

    /**
     * Takes up the replicas that an earlier process left.
     *
     * @param drills null: there are none
     * @param fence null: nothing is promoted on silence
     */
    public ReplicaHost(
            ReplicaConfig config,
            StandbyFactory standbys,
            @Nullable DrillFactory drills,
            @Nullable Fence fence,
            ReplicaListener listener,
            HostCondition condition)
            throws LockstepException {
        if (drills != null) {
            Drill.cleanUp(config, drills);
        }
        try {
            env = new ReplicaEnvironment(
                    config,
                    standbys,
                    drills,
                    fence,
                    listener,
                    condition,
                    System::nanoTime,
                    System::currentTimeMillis,
                    ReplicaMarker.BootId.current());
            Files.createDirectories(config.stateDirectory());
            List<Path> found;
            try (Stream<Path> directories = Files.list(config.stateDirectory())) {
                found = directories.filter(Files::isDirectory).toList();
            }
            for (Path directory : found) {
                Optional<String> vm = VmDirectory.decode(directory.getFileName().toString());
                if (vm.isEmpty()) {
                    LOG.warn("{} is no replica's, and is left alone", directory);
                    continue;
                }
                try {
                    replica(vm.get());
                } catch (LockstepException e) {
                    LOG.warn("{} is left alone: {}", directory, e.getMessage());
                }
            }
        } catch (IOException e) {
            throw new LockstepException(
                    "replica-io", "Replicas in " + config.stateDirectory() + " cannot be read: " + e, e);
        }
    }

    /** Serves an authenticated connection on a thread of its own. */
    public void accept(FrameChannel channel) {
        Thread thread = new Thread(() -> serve(channel), "replica-session");
        thread.setDaemon(true);
        thread.start();
    }

    /** Serves an authenticated connection until it ends. */
    public void serve(FrameChannel channel) {
        try (channel) {
            AtomicReference<byte[]> hello = new AtomicReference<>();
            // Looked at afterwards: what a handler throws closes the channel, and nobody would hear why.
            boolean received = channel.receive(
                    (buffer, offset, length) -> {
                        byte[] message = new byte[length];
                        buffer.getBytes(offset, message);
                        hello.set(message);
                    },
                    HELLO_TIMEOUT_MS);
            byte[] message = hello.get();
            if (!received || message == null) {
                LOG.warn("{}: no Hello within {} ms", channel.peerFingerprint(), HELLO_TIMEOUT_MS);
                return;
            }
            answer(channel, message);
        } catch (LinkException e) {
            if (e.kind() == LinkException.Kind.CLOSED) {
                LOG.debug("{}: looked whether this agent answers: {}", channel.peerFingerprint(), e.getMessage());
            } else {
                LOG.warn("{}: {}", channel.peerFingerprint(), e.getMessage());
            }
        } catch (LockstepException e) {
            LOG.warn("{}: {}", channel.peerFingerprint(), e.getMessage());
        }
    }

    private void answer(FrameChannel channel, byte[] message) throws LockstepException {
        SessionHello wanted;
        Replica replica;
        try {
            wanted = HelloCodec.decodeHello(new UnsafeBuffer(message), 0, message.length);
            env.config().host().requireOtherThan(wanted.host());
            replica = expecting(wanted.vmName());
        } catch (LockstepException e) {
            LOG.warn("{}: {}", channel.peerFingerprint(), e.getMessage());
            refuse(channel, e);
            return;
        }
        Thread.currentThread().setName("replica-" + wanted.vmName());
        ReplicaSession session = new ReplicaSession(replica, channel, wanted);
        SessionReply reply = replica.hello(wanted, session, channel.peerFingerprint());
        try {
            HelloCodec.send(channel, reply);
        } catch (LockstepException e) {
            replica.closed(session, String.valueOf(e.getMessage()));
            throw e;
        }
        if (reply.status() == HelloStatus.RESUME || reply.status() == HelloStatus.FULL) {
            session.run(env.nowNs());
        }
    }

    /** All replicas, by name; waits for nothing. */
    public List<ReplicaStatus> status() {
        List<ReplicaStatus> list = new ArrayList<>();
        for (Entry entry : replicas.values()) {
            list.add(entry.replica().status());
        }
        return list;
    }

    /** One replica; waits for nothing. */
    public ReplicaStatus status(String vm) throws LockstepException {
        return known(vm).status();
    }

    /**
     * The last committed epochs that the journal holds, newest first.
     *
     * @throws LockstepException {@code replica-unknown}
     */
    public List<EpochEntry> journal(String vm, int limit) throws LockstepException {
        ReplicaStore.Content content = known(vm).content();
        return content == null ? List.of() : content.journal().newestFirst(limit);
    }

    /**
     * Makes the replica the VM, on the operator's word.
     *
     * @param force without fencing, and also of a released replica
     * @return the VM; at once, if it was promoted before
     * @throws LockstepException {@code replica-unknown}, {@code replica-not-consistent}, {@code primary-alive}, {@code replica-released},
     *     {@code fence-missing}, {@code fence-failed}, and whatever the promotion throws
     */
    public PromotedVm failover(String vm, boolean force) throws LockstepException {
        return known(vm).failover(force);
    }

    /**
     * Proves, without touching the primary, that the replica could become the VM.
     *
     * @throws LockstepException {@code replica-unknown}, {@code drill-unavailable}, {@code drill-runs-already}, {@code drill-not-consistent},
     *     {@code drill-memory-too-small}, {@code drill-vm-paused}: refused; {@code drill-abandoned}; anything else: a failover would fail
     */
    public DrillResult drill(String vm) throws LockstepException {
        return known(vm).drill();
    }

    /** How regularly the threads of each replica come round: {@code apply VM}, {@code standby VM}, {@code replica VM}, {@code live VM}, {@code drill-disk VM}. */
    public Map<String, DutyCycle> rounds() {
        Map<String, DutyCycle> rounds = new TreeMap<>();
        replicas.forEach((vm, entry) -> {
            rounds.put("standby " + vm, entry.keeping());
            rounds.put("replica " + vm, entry.replica().sessionRounds());
            rounds.put("live " + vm, entry.replica().liveRounds());
            rounds.put("drill-disk " + vm, entry.replica().drillDiskRounds());
            DutyCycle applying = entry.replica().applierRounds();
            if (applying != null) {
                rounds.put("apply " + vm, applying);
            }
        });
        return rounds;
    }

    /** What a VM's primary is told of the drills here, now and in later sessions; nothing happens if there is no such replica. */
    public void drillReport(String vm, DrillReport report) {
        Entry entry = replicas.get(vm);
        if (entry != null) {
            entry.replica().drillReport(report);
        }
    }

    /**
     * Removes a replica with its journal, or the memory of a promotion whose VM has ended.
     *
     * @throws LockstepException {@code replica-unknown}, {@code vm-runs-here}, {@code primary-alive}
     */
    public void discard(String vm) throws LockstepException {
        known(vm).discard();
    }

    /** Ends all sessions and standbys; VMs that run stay alone, replicas stay for the next process. */
    @Override
    public void close() {
        closed = true;
        for (Entry entry : replicas.values()) {
            entry.replica().close();
            LockSupport.unpark(entry.keeper());
        }
        for (Entry entry : replicas.values()) {
            try {
                entry.keeper().join(TimeUnit.SECONDS.toMillis(5));
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                return;
            }
        }
    }

    private Replica known(String vm) throws LockstepException {
        Entry entry = replicas.get(vm);
        if (entry == null) {
            throw unknown(vm);
        }
        return entry.replica();
    }

    static LockstepException unknown(String vm) {
        return new LockstepException(
                "replica-unknown",
                "There is no replica of a VM " + vm + " on this host. `lockstep status` lists those that there are.");
    }

    /** The replica that is about to be told Hello. */
    private synchronized Replica expecting(String vm) throws LockstepException {
        Replica replica = replica(vm);
        replica.expectHello();
        return replica;
    }

    private synchronized Replica replica(String vm) throws LockstepException {
        Entry present = replicas.get(vm);
        if (present != null) {
            return present.replica();
        }
        if (closed) {
            throw new LockstepException(
                    "agent-stopping", "The peer's agent is stopping. It takes sessions again when it is back.");
        }
        if (replicas.size() >= REPLICAS_MAX) {
            // A name that nothing is left of may come again, and is as good as a new one then.
            replicas.values().removeIf(entry -> entry.replica().retire());
        }
        if (vm.isEmpty() || vm.length() > 80 || replicas.size() >= REPLICAS_MAX) {
            throw new LockstepException(
                    "replica-refused",
                    "VM name of " + vm.length() + " characters not in 1..80, or " + replicas.size() + " replicas >= "
                            + REPLICAS_MAX + ".");
        }
        Replica replica = new Replica(env, vm, ApplierThread::new);
        replica.open();
        DutyCycle keeping = new DutyCycle();
        Thread keeper = new Thread(() -> keep(replica, keeping), "standby-" + vm);
        keeper.setDaemon(true);
        keeper.start();
        replicas.put(vm, new Entry(replica, keeper, keeping));
        return replica;
    }

    private void keep(Replica replica, DutyCycle keeping) {
        while (!closed && !replica.retired()) {
            try {
                long nowNs = env.nowNs().getAsLong();
                keeping.mark(System.nanoTime());
                replica.tick(nowNs);
                replica.keepStandby(nowNs);
            } catch (RuntimeException | Error e) {
                LOG.error("{}: keeping the standby failed", replica.vm(), e);
            }
            LockSupport.parkNanos(this, TICK_NS);
        }
    }

    private void refuse(FrameChannel channel, LockstepException cause) {
        try {
            HelloCodec.send(
                    channel,
                    new SessionReply(
                            ProtocolVersion.PROTOCOL_VERSION,
                            HelloStatus.REFUSED,
                            -1,
                            env.config().ackLevel(),
                            0,
                            0,
                            cause.code(),
                            String.valueOf(cause.getMessage())));
        } catch (LockstepException e) {
            LOG.debug("{}: refusal not sent: {}", channel.peerFingerprint(), e.getMessage());
        }
    }
}
