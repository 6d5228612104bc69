package io.lockstep.replication.replica;

import io.lockstep.linux.ProcessIdentity;
import io.lockstep.replication.LockstepException;
import io.lockstep.replication.RamBlock;
import io.lockstep.replication.hypervisor.Standby;
import io.lockstep.replication.journal.JournalLimits;
import io.lockstep.replication.link.FrameChannel;
import io.lockstep.replication.link.HostIdentity;
import io.lockstep.replication.link.LinkException;
import io.lockstep.replication.link.SessionHello;
import io.lockstep.replication.link.SessionReply;
import io.lockstep.replication.wire.AckLevel;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** The peer in one thread with a clock of its own: the real replica, journal and files, the applier run by hand, a standby that records. */
final class SimulatedPeer implements AutoCloseable {
    final AtomicLong nowNs = new AtomicLong(1_000_000_000L);
    final List<String> states = new ArrayList<>();
    final List<String> errors = new ArrayList<>();
    final List<PromotedVm> promotions = new ArrayList<>();
    final List<RecordingStandby> standbys = new ArrayList<>();
    final List<String> fences = new ArrayList<>();
    final ReplicaConfig config;
    Fence.@Nullable Outcome fence;
    /** What happens while the fence command runs. */
    Runnable whileFencing = () -> {};

    HostCondition condition = HostCondition.UNKNOWN;
    /** What a standby does that is told to run. */
    Order atRun = standby -> standby.running = true;

    boolean standbyFails;
    boolean recordFails;
    boolean loadFails;
    InlineApplier applier;
    Replica replica;

    @Nullable
    ReplicaSession session;

    SimulatedPeer(Path directory) {
        this(directory, directory.resolve("memory"));
    }

    /** Of a host where everything is given up after a second. */
    static ReplicaConfig config(Path state, Path memory, JournalLimits journal) {
        return new ReplicaConfig(state, memory, journal, AckLevel.MEMORY, 4, 1_000, 500, 1_000, HostIdentity.UNKNOWN);
    }

    SimulatedPeer(Path directory, Path memory) {
        config = config(directory.resolve("state"), memory, new JournalLimits(1 << 20, 8 << 20, 3_600_000));
        start();
    }

    /** A new process of the agent takes up what is there. */
    void start() {
        Fence command = vm -> {
            fences.add(vm);
            whileFencing.run();
            return fence;
        };
        try {
            ReplicaEnvironment env = new ReplicaEnvironment(
                    config,
                    new Spawner(),
                    null,
                    fence == null ? null : command,
                    listener(),
                    condition,
                    nowNs::get,
                    () -> nowNs.get() / 1_000_000,
                    ReplicaMarker.BootId.current());
            replica = new Replica(env, "vm", (vm, epochs, onFailure) -> applier = new InlineApplier(epochs, onFailure));
        } catch (IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
        replica.open();
    }

    /** Ends this process in order and starts another. */
    void restart() {
        replica.close();
        session = null;
        start();
    }

    SessionReply connect(SessionHello hello, FrameChannel channel) {
        ReplicaSession opening = new ReplicaSession(replica, channel, hello);
        SessionReply reply = replica.hello(hello, opening, channel.peerFingerprint());
        session = opening;
        replica.keepStandby(nowNs.get());
        return reply;
    }

    /** Takes all messages that wait; the session notices the end of the connection as its thread would. */
    void takeAll() {
        try {
            boolean more = true;
            while (more) {
                more = session.poll(0, nowNs.get());
            }
        } catch (LinkException e) {
            session.onLinkException(e);
        }
    }

    void passMs(long ms) {
        nowNs.addAndGet(ms * 1_000_000);
        replica.tick(nowNs.get());
    }

    /** Content of a block's file. */
    byte[] file(RamBlock block) throws IOException {
        return Files.readAllBytes(ReplicaFiles.path(config.memoryDirectory().resolve("vm"), block.index()));
    }

    /** Content of a disk's image. */
    byte[] image(int disk) throws IOException {
        return Files.readAllBytes(ReplicaDisks.path(config.diskDirectory().resolve("vm"), disk));
    }

    long hash(List<RamBlock> blocks) throws IOException {
        long hash = 0;
        for (RamBlock block : blocks) {
            hash = hash * 31 + SimulatedPrimary.hash(file(block));
        }
        return hash;
    }

    @Override
    public void close() {
        replica.close();
    }

    private final class Spawner implements StandbyFactory {
        @Override
        public Standby spawn(SessionHello hello, List<Path> files) throws LockstepException {
            if (standbyFails) {
                throw new LockstepException("standby-failed", "QEMU exited with code 1: no such machine.");
            }
            RecordingStandby standby = new RecordingStandby(hello);
            standbys.add(standby);
            return standby;
        }

        @Override
        public boolean toldToRun(String vmName, ProcessIdentity standby) {
            return standbys.stream().anyMatch(started -> started.running);
        }
    }

    private ReplicaListener listener() {
        return new ReplicaListener() {
            @Override
            public void stateChanged(String vm, ReplicaState from, ReplicaState to, String reason) {
                states.add(to.label() + ": " + reason);
            }

            @Override
            public void promoted(PromotedVm promoted) {
                promotions.add(promoted);
            }

            @Override
            public void error(String vm, String code, String message) {
                errors.add(code + ": " + message);
            }
        };
    }

    /** Applies on the thread that waits, or when told. */
    static final class InlineApplier implements AppliedWait {
        final EpochApplier applier;
        private final Consumer<LockstepException> onFailure;
        boolean lazy;
        /** What else happens while the session's thread takes the end of an epoch. */
        Runnable meanwhile = () -> {};

        InlineApplier(EpochApplier applier, Consumer<LockstepException> onFailure) {
            this.applier = applier;
            this.onFailure = onFailure;
        }

        @Override
        public void committed() {
            meanwhile.run();
            if (!lazy) {
                work();
            }
        }

        @Override
        public void await(long epoch) throws LockstepException {
            while (applier.applied() < epoch) {
                if (!work()) {
                    throw new LockstepException("replica-lost", "epoch " + epoch + " is not there");
                }
            }
        }

        private boolean work() {
            try {
                return applier.doWork();
            } catch (LockstepException e) {
                onFailure.accept(e);
            } catch (IOException e) {
                onFailure.accept(new LockstepException("replica-io", e.toString(), e));
            }
            return false;
        }
    }

    /** An order to a standby. */
    interface Order {
        void run(RecordingStandby standby) throws LockstepException;
    }

    /** Remembers what a QEMU would have got. */
    final class RecordingStandby implements Standby {
        final Map<String, byte[]> written = new HashMap<>();
        byte @Nullable [] loaded;
        boolean running;
        boolean alive = true;
        private final SessionHello hello;

        RecordingStandby(SessionHello hello) {
            this.hello = hello;
        }

        @Override
        public boolean ready() {
            return alive && loaded == null;
        }

        @Override
        public long pid() {
            return ProcessHandle.current().pid();
        }

        @Override
        public void writeBlock(String name, long offsetBytes, ByteBuffer content) {
            byte[] block = written.computeIfAbsent(
                    name,
                    key -> new byte
                            [(int) hello.ramBlocks().stream()
                                    .filter(b -> b.name().equals(key))
                                    .findFirst()
                                    .orElseThrow()
                                    .lengthBytes()]);
            content.duplicate().get(block, (int) offsetBytes, content.remaining());
        }

        @Override
        public void load(ByteBuffer deviceState) throws LockstepException {
            if (loadFails) {
                throw new LockstepException("standby-load", "QEMU refused the device state.");
            }
            byte[] state = new byte[deviceState.remaining()];
            deviceState.duplicate().get(state);
            loaded = state;
        }

        @Override
        public void recordOrder() throws LockstepException {
            if (recordFails) {
                throw new LockstepException("standby-record", "Cannot write standby.pid: No space left on device.");
            }
        }

        @Override
        public void run() throws LockstepException {
            atRun.run(this);
        }

        @Override
        public void release() {}

        @Override
        public void close() {
            alive = false;
        }
    }
}
