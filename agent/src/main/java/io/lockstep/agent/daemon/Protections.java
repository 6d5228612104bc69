package io.lockstep.agent.daemon;

import io.lockstep.agent.AgentPaths;
import io.lockstep.agent.AgentVersion;
import io.lockstep.agent.config.AgentConfig;
import io.lockstep.agent.events.AgentEvent;
import io.lockstep.agent.events.EventLog;
import io.lockstep.agent.policy.HostHealth;
import io.lockstep.replication.LockstepException;
import io.lockstep.replication.PassableDirectory;
import io.lockstep.replication.hypervisor.QemuFinder;
import io.lockstep.replication.hypervisor.QemuProcess;
import io.lockstep.replication.hypervisor.QmpEvent;
import io.lockstep.replication.link.ControlMessage;
import io.lockstep.replication.link.HostIdentity;
import io.lockstep.replication.link.LinkDialer;
import io.lockstep.replication.link.ProtocolVersion;
import io.lockstep.replication.link.SessionHello;
import io.lockstep.replication.network.NetDevices;
import io.lockstep.replication.protection.AttachedVm;
import io.lockstep.replication.protection.OutputSettings;
import io.lockstep.replication.protection.PeerAddress;
import io.lockstep.replication.protection.ProtectedVm;
import io.lockstep.replication.protection.ProtectionSettings;
import io.lockstep.replication.protection.ProtectionState;
import io.lockstep.replication.protection.ProtectionTicket;
import io.lockstep.telemetry.source.GuestSource;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The VMs that run here and are protected, over the agent's restarts. Thread-safe. */
final class Protections implements AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(Protections.class);
    private static final long TAKE_UP_MS = 5_000;

    private final AgentPaths paths;
    private final AgentConfig config;
    private final LinkDialer dialer;
    private final EventLog events;
    private final HostIdentity host;
    private final HostHealth health;
    private final ProtectionStore store;
    /** Held while a protection's beginning or end is written down. */
    private final Object recording = new Object();

    private final Map<String, Held> held = new ConcurrentHashMap<>();
    private final GuestSource guests = new GuestSource();
    private final CountDownLatch stopped = new CountDownLatch(1);
    private volatile boolean closing;

    /** A protection and what is written down of it. */
    record Held(ProtectedVm vm, ProtectionStore.Entry entry) {}

    Protections(
            AgentPaths paths,
            AgentConfig config,
            LinkDialer dialer,
            EventLog events,
            HostIdentity host,
            HostHealth health)
            throws LockstepException {
        this.health = health;
        this.events = events;
        this.paths = paths;
        this.config = config;
        this.dialer = dialer;
        this.host = host;
        this.store = new ProtectionStore(paths.state().resolve("protections"));
    }

    /** Goes on with what the agent's life before protected; what cannot be taken up yet is tried again. */
    void takeUp() throws LockstepException {
        List<ProtectionStore.Entry> waiting = new ArrayList<>();
        for (ProtectionStore.Entry entry : store.all()) {
            LockstepException refusal = takeUp(entry);
            if (refusal != null) {
                LOG.warn(
                        "{}: protection not taken up, tried again every {} s: {} ({})",
                        entry.vmName(),
                        TAKE_UP_MS / 1000,
                        refusal.getMessage(),
                        refusal.code());
                events.publish(
                        AgentEvent.ERROR, entry.vmName(), refusal.code(), "not protected: " + refusal.getMessage());
                waiting.add(entry);
            }
        }
        if (!waiting.isEmpty()) {
            Thread again = new Thread(() -> takeUpAgain(waiting), "take-up");
            again.setDaemon(true);
            again.start();
        }
    }

    /** As long as such records are what their VMs' operators last asked for. */
    private void takeUpAgain(List<ProtectionStore.Entry> waiting) {
        try {
            while (!waiting.isEmpty() && !stopped.await(TAKE_UP_MS, TimeUnit.MILLISECONDS)) {
                List<UUID> recorded =
                        store.all().stream().map(ProtectionStore.Entry::vmId).toList();
                waiting.removeIf(entry -> !recorded.contains(entry.vmId()) || takeUp(entry) == null);
            }
        } catch (LockstepException e) {
            LOG.warn("protections that were not taken up are not tried again: {}", e.getMessage());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /** Why one cannot be taken up yet; null if it was, or its QEMU is gone. */
    private synchronized @Nullable LockstepException takeUp(ProtectionStore.Entry entry) {
        if (closing || find(entry.vmName()) != null) {
            return null;
        }
        try {
            try {
                QemuProcess process = new QemuFinder().findByPid(entry.pid());
                if (process.identity().startTicks() == entry.startTicks()) {
                    Diary diary = new Diary(entry.restarted(), peer(entry.peer()));
                    diary.begin();
                    start(
                            diary,
                            AttachedVm.open(process, config.vm(entry.vmName()).sharedDisks()));
                    return null;
                }
            } catch (LockstepException e) {
                if (!e.code().equals("vm-not-found")) {
                    return e;
                }
            }
            gone(entry);
            return null;
        } catch (LockstepException e) {
            return e;
        }
    }

    /** QEMU ended while no agent looked. */
    private void gone(ProtectionStore.Entry entry) throws LockstepException {
        LOG.warn(
                "{}: QEMU ended while no agent looked{}",
                entry.vmName(),
                entry.handedOverEpoch() >= 0
                        ? ", frozen at epoch " + entry.handedOverEpoch() + ", which its peer runs from now on"
                        : "; what it did unprotected is lost. `lockstep failover " + entry.vmName()
                                + " --force` on the peer promotes its last epoch");
        SessionHello hello = entry.hello();
        if (hello == null) {
            store.remove(entry.vmName());
            return;
        }
        say(LastWords.unseen(hello, entry.handedOverEpoch(), dial(peer(entry.peer()))), entry);
    }

    private LastWords.Dial dial(AgentConfig.Peer peer) {
        return () -> dialer.dial(new InetSocketAddress(peer.host(), peer.port()), peer.fingerprint());
    }

    /**
     * Says it as long as nobody protects a VM of this name again, and keeps the record until it was heard.
     *
     * @param of whose end it tells
     */
    private void say(LastWords words, ProtectionStore.Entry of) {
        BooleanSupplier untouched = () -> {
            Held present = find(of.vmName());
            return present == null || present.entry.vmId().equals(of.vmId());
        };
        words.start(() -> !closing && untouched.getAsBoolean(), () -> {
            synchronized (recording) {
                if (untouched.getAsBoolean()) {
                    forgetRecord(of.vmName());
                }
            }
        });
    }

    /** What QEMU reports of the hardware below the protected VMs. */
    GuestSource guests() {
        return guests;
    }

    /** Writes down what becomes of a protection. */
    private final class Diary implements ProtectedVm.HandoverRecord {
        private final ProtectionStore.Entry entry;
        private final AgentConfig.Peer peer;
        /** Guarded by {@link #recording}. */
        private boolean begun;

        Diary(ProtectionStore.Entry entry, AgentConfig.Peer peer) {
            this.entry = entry;
            this.peer = peer;
        }

        /** Writes it down for the agent's next life, once: what is written of its end comes after this, however soon it ends. */
        void begin() throws LockstepException {
            synchronized (recording) {
                if (!begun) {
                    begun = true;
                    store.put(entry);
                }
            }
        }

        @Override
        public void handingOver(long epoch) throws LockstepException {
            begin();
            record(present -> present.handedOver(epoch), entry);
        }

        @Override
        public void stateChanged(ProtectionState from, ProtectionState to, String reason) {
            events.publish(AgentEvent.PROTECTION, entry.vmName(), Views.label(to), reason);
        }

        @Override
        public void reported(QmpEvent event) {
            GuestReports.tell(guests, entry.vmName(), event, System.currentTimeMillis());
        }

        @Override
        public void ended(ProtectionState state, @Nullable ControlMessage unheard) {
            try {
                begin();
            } catch (LockstepException e) {
                LOG.warn("{}: {}", entry.vmName(), e.getMessage());
            }
            SessionHello hello = entry.hello();
            if (unheard != null && hello != null) {
                // As long as its peer waits for this agent. Later the operator may have started the VM again here.
                long untilNs = System.nanoTime() + config.link().agentRestartMs() * 1_000_000L;
                boolean handedOver = state == ProtectionState.HANDED_OVER;
                BooleanSupplier stillTrue = () -> handedOver || System.nanoTime() - untilNs < 0;
                say(LastWords.unheard(hello, unheard, stillTrue, dial(peer)), entry);
            } else if (state.terminal() || !closing) {
                synchronized (recording) {
                    forgetRecord(entry.vmName());
                }
            }
        }
    }

    /** Refuses a VM that is protected here: its monitor is ours. */
    void checkFree(QemuProcess process) throws LockstepException {
        String name = vmName(process);
        Held present = held.get(name);
        if (present != null && !present.vm.ended().isDone()) {
            throw new LockstepException(
                    "already-protected",
                    name + " is protected already: `lockstep status` shows it, `lockstep unprotect` ends it.");
        }
    }

    /**
     * Protects a VM. What can be found out without touching it, is found out first: whether it can be protected, and whether the peer answers
     * with the certificate that it should have.
     */
    synchronized ProtectedVm protect(QemuProcess process, String peerName, Asked asked) throws LockstepException {
        String name = vmName(process);
        checkFree(process);
        AgentConfig.Peer peer = peer(peerName);
        AttachedVm vm = AttachedVm.open(process, config.vm(name).sharedDisks());
        try {
            if (!asked.allowUnheldOutput && asked.protection.equals("lockstep")) {
                NetDevices.requireHoldable(vm.netDevices());
            }
            dialer.dial(new InetSocketAddress(peer.host(), peer.port()), peer.fingerprint())
                    .close();
        } catch (LockstepException e) {
            vm.close();
            throw e;
        }
        UUID vmId = UUID.randomUUID();
        // For last words, which every peer must understand.
        SessionHello hello = new ProtectionTicket(name, vmId, AgentVersion.TEXT)
                .hello(ProtocolVersion.PROTOCOL_VERSION, vm, settings(name, asked), -1, Long.MAX_VALUE, 0)
                .oldest();
        ProtectionStore.Entry entry = new ProtectionStore.Entry(
                name,
                vmId,
                process.pid(),
                process.identity().startTicks(),
                peerName,
                asked.epochMs,
                asked.tracker,
                asked.protection,
                asked.allowUnheldOutput,
                0,
                -1,
                hello);
        Diary diary = new Diary(entry, peer);
        ProtectedVm started = start(diary, vm);
        try {
            diary.begin();
        } catch (LockstepException e) {
            var unused = started.unprotect();
            throw e;
        }
        return started;
    }

    private ProtectedVm start(Diary diary, AttachedVm vm) throws LockstepException {
        ProtectionStore.Entry entry = diary.entry;
        AgentConfig.Peer peer = diary.peer;
        makeLedgers(vm);
        ProtectedVm started = ProtectedVm.start(
                new ProtectionTicket(entry.vmName(), entry.vmId(), AgentVersion.TEXT),
                vm,
                new PeerAddress(entry.peer(), new InetSocketAddress(peer.host(), peer.port()), peer.fingerprint()),
                dialer,
                health::code,
                settings(entry.vmName(), Asked.of(entry)),
                diary);
        held.put(entry.vmName(), new Held(started, entry));
        return started;
    }

    /** Where what outlives this agent, but not the host, is kept; sockets that QEMU opens, too. */
    private Path ledgers() {
        return config.replica().directory().resolve("ledgers");
    }

    private void makeLedgers(AttachedVm vm) throws LockstepException {
        try {
            PassableDirectory.create(config.replica().directory(), ledgers());
        } catch (IOException e) {
            vm.close();
            throw new LockstepException(
                    "replica-io",
                    "The directory " + ledgers() + " cannot be made: " + e + ". See [replica] directory.",
                    e);
        }
    }

    /**
     * Writes down what becomes of a protection, beside what else became of it.
     *
     * @param of as it began
     */
    private void record(UnaryOperator<ProtectionStore.Entry> change, ProtectionStore.Entry of)
            throws LockstepException {
        String vmName = of.vmName();
        synchronized (recording) {
            Held present = held.get(vmName);
            ProtectionStore.Entry changed;
            if (present != null && present.entry.vmId().equals(of.vmId())) {
                changed = change.apply(present.entry);
                held.put(vmName, new Held(present.vm, changed));
            } else {
                changed = change.apply(of);
            }
            store.put(changed);
        }
    }

    /** Remembers a switch of the mode for the agent's next life. */
    synchronized void switched(ProtectedVm vm, String mode) throws LockstepException {
        Held present = held.get(vm.ticket().vmName());
        if (present != null && present.vm == vm) {
            record(entry -> entry.switched(mode), present.entry);
        }
    }

    private void forgetRecord(String vmName) {
        try {
            store.remove(vmName);
        } catch (LockstepException e) {
            LOG.warn("{}: {}", vmName, e.getMessage());
        }
    }

    /** What the operator asked for, with the configuration's defaults filled in. */
    record Asked(int epochMs, String tracker, String protection, boolean allowUnheldOutput) {
        static Asked of(ProtectionStore.Entry entry) {
            String protection = entry.protection();
            return new Asked(
                    entry.epochMs(),
                    entry.tracker(),
                    protection == null ? "lockstep" : protection,
                    entry.allowUnheldOutput());
        }
    }

    private ProtectionSettings settings(String vm, Asked asked) {
        AgentConfig.Epoch epoch = config.epoch();
        AgentConfig.Link link = config.link();
        AgentConfig.Pipeline pipeline = config.pipeline();
        return new ProtectionSettings(
                asked.epochMs,
                new OutputSettings(
                        asked.protection.equals("lockstep"),
                        asked.allowUnheldOutput,
                        epoch.minEpochMs(),
                        epoch.maxEpochMs(),
                        epoch.maxPauseShare(),
                        config.output().logBytes()),
                epoch.pauseMsMax(),
                epoch.verifyPauseMsMax(),
                link.heartbeatMs(),
                link.failureTimeoutMs(),
                link.agentRestartMs(),
                link.reconnectMs(),
                epoch.scrubPagesPerEpoch(),
                epoch.epochsInFlightMax(),
                pipeline.ringSlots(),
                pipeline.pageCacheBytes(),
                pipeline.encoderThreads(),
                pipeline.scanThreads(),
                config.vm(vm).preCopy(),
                asked.tracker,
                ledgers(),
                host);
    }

    /** A peer of the configuration. */
    AgentConfig.Peer peer(String name) throws LockstepException {
        AgentConfig.Peer peer = config.peers().get(name);
        if (peer == null) {
            throw new LockstepException(
                    "peer-unknown",
                    "there is no peer " + name + " in " + paths.configuration() + "; it has "
                            + config.peers().keySet() + ". Add [peers." + name + "] with address and fingerprint.");
        }
        return peer;
    }

    /** The peer that is meant if none is named. */
    String peerName(@Nullable String asked) throws LockstepException {
        if (asked != null) {
            peer(asked);
            return asked;
        }
        if (config.peers().isEmpty()) {
            throw new LockstepException(
                    "peer-ambiguous",
                    "the configuration has no [peers.NAME]. Run `lockstep pair --listen` on the other host and `lockstep pair"
                            + " HOST` here, then restart the agent.");
        }
        if (config.peers().size() != 1) {
            throw new LockstepException(
                    "peer-ambiguous",
                    "the configuration has " + config.peers().size() + " peers "
                            + config.peers().keySet() + ": name one with --peer.");
        }
        return config.peers().keySet().iterator().next();
    }

    /** A VM's name in all interfaces. */
    static String vmName(QemuProcess process) {
        return process.name().isEmpty() ? "pid-" + process.pid() : process.name();
    }

    /** What has ended is shown no longer: its operator knows. */
    void forget(ProtectedVm ended) {
        held.computeIfPresent(ended.ticket().vmName(), (name, present) -> present.vm == ended ? null : present);
    }

    /** By name; null if there is none. */
    @Nullable
    Held find(String vmName) {
        return held.get(vmName);
    }

    /** All, also those that have ended since this agent started. */
    List<Held> all() {
        return List.copyOf(held.values());
    }

    /** Those whose capture threads run. */
    List<ProtectedVm> active() {
        return held.values().stream()
                .map(Held::vm)
                .filter(vm -> !vm.ended().isDone())
                .toList();
    }

    @Override
    public void close() {
        closing = true;
        stopped.countDown();
        active().forEach(ProtectedVm::close);
    }
}
