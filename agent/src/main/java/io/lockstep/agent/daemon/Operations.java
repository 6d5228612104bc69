package io.lockstep.agent.daemon;

import io.lockstep.agent.AgentPaths;
import io.lockstep.agent.AgentVersion;
import io.lockstep.agent.Progress;
import io.lockstep.agent.VmOperations;
import io.lockstep.agent.config.AgentConfig;
import io.lockstep.agent.events.EventLog;
import io.lockstep.agent.policy.HostHealth;
import io.lockstep.agent.policy.NewVms;
import io.lockstep.agent.view.AgentView;
import io.lockstep.agent.view.DifferingPage;
import io.lockstep.agent.view.DrillRun;
import io.lockstep.agent.view.DryRun;
import io.lockstep.agent.view.Floor;
import io.lockstep.agent.view.HardwareEventView;
import io.lockstep.agent.view.HardwareSummary;
import io.lockstep.agent.view.HardwareView;
import io.lockstep.agent.view.HostView;
import io.lockstep.agent.view.JournalEpoch;
import io.lockstep.agent.view.PeerView;
import io.lockstep.agent.view.Promotion;
import io.lockstep.agent.view.ProtectRequest;
import io.lockstep.agent.view.ProtectionStatus;
import io.lockstep.agent.view.Quantiles;
import io.lockstep.agent.view.ReplicaView;
import io.lockstep.agent.view.Switchover;
import io.lockstep.agent.view.Verification;
import io.lockstep.agent.view.VmSelector;
import io.lockstep.agent.view.VmSummary;
import io.lockstep.replication.DutyCycle;
import io.lockstep.replication.LockstepException;
import io.lockstep.replication.RamBlock;
import io.lockstep.replication.ReplicatedDisk;
import io.lockstep.replication.disk.DiskProgress;
import io.lockstep.replication.disk.GuestDisk;
import io.lockstep.replication.hypervisor.HostRamBlock;
import io.lockstep.replication.hypervisor.PauseFloor;
import io.lockstep.replication.hypervisor.QemuProcess;
import io.lockstep.replication.link.ControlMessage.VerifyResult;
import io.lockstep.replication.link.Identity;
import io.lockstep.replication.link.LinkListener;
import io.lockstep.replication.link.ReportedHealth;
import io.lockstep.replication.memory.TrackerFactory;
import io.lockstep.replication.memory.TrackerProbe;
import io.lockstep.replication.network.NetDevices;
import io.lockstep.replication.protection.AttachedVm;
import io.lockstep.replication.protection.ProtectedVm;
import io.lockstep.replication.replica.ReplicaHost;
import io.lockstep.replication.replica.ReplicaState;
import io.lockstep.replication.replica.ReplicaStatus;
import java.lang.management.ManagementFactory;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** What the management interface can ask of the daemon. */
final class Operations implements VmOperations {
    private static final double NS_PER_MS = 1e6;

    /** How often a wait for the first copy reports its progress. */
    private static final long REPORT_MS = 200;

    private final AgentPaths paths;
    private final AgentConfig config;
    private final Identity identity;
    private final InetSocketAddress address;
    private final DutyCycle accepting;
    private final Protections protections;
    private final ReplicaHost replicas;
    private final Standbys standbys;
    private final Drills drills;
    private final VmSearch search;
    private final Hardware hardware;
    private final NewVms newVms;
    private final EventLog events;
    private final long startedMs;
    private final double startMs;
    private @Nullable Map<String, Object> inForce;

    Operations(
            AgentPaths paths,
            AgentConfig config,
            Identity identity,
            LinkListener listener,
            Protections protections,
            ReplicaHost replicas,
            Standbys standbys,
            Drills drills,
            Path drillDirectory,
            Hardware hardware,
            NewVms newVms,
            EventLog events,
            long startedMs) {
        this.paths = paths;
        this.config = config;
        this.identity = identity;
        this.address = listener.address();
        this.accepting = listener.rounds();
        this.protections = protections;
        this.replicas = replicas;
        this.standbys = standbys;
        this.drills = drills;
        this.search = new VmSearch(protections, replicas, standbys.directory(), drillDirectory);
        this.hardware = hardware;
        this.newVms = newVms;
        this.events = events;
        this.startedMs = startedMs;
        this.startMs = System.currentTimeMillis()
                - (double) ManagementFactory.getRuntimeMXBean().getStartTime();
    }

    @Override
    public AgentView agent() {
        return new AgentView(
                AgentVersion.TEXT,
                ProcessHandle.current().pid(),
                paths.root().toString(),
                address.getHostString() + ":" + address.getPort(),
                identity.fingerprint(),
                startedMs,
                startMs,
                Runtime.version().toString(),
                System.currentTimeMillis() - startedMs,
                configuration());
    }

    /** It is as the agent read it at its start, and finding its fields is dear. */
    private synchronized Map<String, Object> configuration() {
        Map<String, Object> found = inForce;
        if (found == null) {
            found = ConfigurationInForce.of(config);
            inForce = found;
        }
        return found;
    }

    @Override
    public EventLog events() {
        return events;
    }

    @Override
    public String metrics(UnaryOperator<String> names, Map<String, DutyCycle> more) {
        Map<String, DutyCycle> cycles = replicas.rounds();
        cycles.putAll(hardware.rounds());
        cycles.put("drills", drills.rounds());
        cycles.put("link-accept", accepting);
        cycles.putAll(more);
        return Metrics.text(this, protections.active(), cycles, names);
    }

    @Override
    public HostView host() {
        return HostViews.of(hardware.view());
    }

    @Override
    public List<PeerView> peers() {
        Map<String, String> reached = new HashMap<>();
        Stream.concat(
                        protections().stream().map(ProtectionStatus::peer),
                        replicas().stream().map(ReplicaView::primary))
                .filter(PeerView::connected)
                .forEach(peer -> reached.merge(
                        peer.fingerprint(),
                        peer.health(),
                        (one, other) -> one.equals(HostHealth.words(ReportedHealth.UNKNOWN)) ? other : one));
        return config.peers().entrySet().stream()
                .map(e -> new PeerView(
                        e.getKey(),
                        e.getValue().host() + ":" + e.getValue().port(),
                        e.getValue().fingerprint(),
                        reached.containsKey(e.getValue().fingerprint()),
                        reached.getOrDefault(e.getValue().fingerprint(), HostHealth.words(ReportedHealth.UNKNOWN))))
                .toList();
    }

    @Override
    public List<VmSummary> vms() {
        return search.vms();
    }

    @Override
    public List<ProtectionStatus> protections() {
        return protections.all().stream()
                .map(h -> Views.protection(h.vm(), h.entry().restarts()))
                .toList();
    }

    @Override
    public List<ReplicaView> replicas() {
        return replicas.status().stream()
                .filter(r ->
                        r.state() != ReplicaState.EMPTY || !r.lastErrorCode().isEmpty())
                .map(this::view)
                .toList();
    }

    private ReplicaView view(ReplicaStatus status) {
        String name = "";
        String where = "";
        for (var peer : config.peers().entrySet()) {
            if (peer.getValue().fingerprint().equals(status.fingerprint())) {
                name = peer.getKey();
                where = peer.getValue().host() + ":" + peer.getValue().port();
            }
        }
        return Views.replica(status, name, where, standbys.directory(status.vm()), drills.view(status.vm()));
    }

    @Override
    public String vmName(Subject subject, String vm) throws LockstepException {
        return search.name(subject, vm);
    }

    @Override
    public DryRun dryRun(ProtectRequest request) throws LockstepException {
        QemuProcess process = search.process(request.vm());
        protections.checkFree(process);
        String name = Protections.vmName(process);
        newVms.requireWelcome(name);
        try (AttachedVm vm = AttachedVm.open(process, config.vm(name).sharedDisks())) {
            if (!request.allowUnheldOutput()
                    && asked(request, config.vm(name)).protection().equals("lockstep")) {
                NetDevices.requireHoldable(vm.netDevices());
            }
            String tracker =
                    tracker(vm, request.tracker() == null ? config.vm(name).tracker() : request.tracker());
            List<RamBlock> blocks =
                    vm.blocks().stream().map(HostRamBlock::block).toList();
            Path memory = config.replica().directory().resolve(name);
            List<ReplicatedDisk> disks =
                    vm.mirroredDisks().stream().map(GuestDisk::disk).toList();
            List<Path> files = new ArrayList<>();
            blocks.forEach(b -> files.add(memory.resolve("block-" + b.index())));
            disks.forEach(d -> files.add(Path.of("disk-" + d.device())));
            List<String> standby = Standbys.commandLine(
                            config, name, standbys.directory(name), process.commandLine(), blocks, disks, files)
                    .arguments();
            // Last, so that a VM that cannot be protected at all is told so where there is no peer yet.
            protections.peerName(request.peer());
            return new DryRun(
                    name,
                    process.pid(),
                    tracker,
                    vm.ramBytes(),
                    blocks.size(),
                    vm.facts().version().toString(),
                    standby);
        }
    }

    /** As {@link TrackerFactory#open} would choose, in its words. */
    private static String tracker(AttachedVm vm, String wanted) throws LockstepException {
        boolean any = wanted.equals("auto");
        if (!any && !TrackerFactory.NAMES.contains(wanted)) {
            throw noTracker("tracker " + wanted + " is none of " + String.join(", ", TrackerFactory.NAMES));
        }
        long pid = vm.process().pid();
        List<String> reasons = new ArrayList<>();
        for (TrackerProbe probe : TrackerFactory.probe(pid, vm.index().regions())) {
            if (any || wanted.equals(probe.name())) {
                if (probe.available()) {
                    return probe.name();
                }
                reasons.add(probe.name() + ": " + probe.reason());
            }
        }
        throw noTracker("no way to track the memory of pid " + pid + ". " + String.join(". ", reasons));
    }

    private static LockstepException noTracker(String cause) {
        return new LockstepException("no-tracker", cause + ". `lockstep doctor` names the cures.");
    }

    @Override
    public ProtectionStatus protect(ProtectRequest request, Progress progress)
            throws LockstepException, InterruptedException {
        String peer = protections.peerName(request.peer());
        QemuProcess process = search.process(request.vm());
        protections.checkFree(process);
        newVms.requireWelcome(Protections.vmName(process));
        AgentConfig.Vm vm = config.vm(Protections.vmName(process));
        ProtectedVm started = protections.protect(process, peer, asked(request, vm));
        FirstCopy copy = new FirstCopy(started);
        try {
            do {
                long done = started.sync().copiedBytes();
                long total = done + started.sync().pendingBytes();
                for (DiskProgress disk : started.disks()) {
                    done += disk.doneBytes();
                    total += disk.totalBytes();
                }
                progress.report("initial-copy", done, total);
                LockstepException refusal = copy.refusal(System.currentTimeMillis());
                if (refusal != null) {
                    await(started.unprotect());
                    protections.forget(started);
                    throw refusal;
                }
                if (await(started.ended(), REPORT_MS)) {
                    protections.forget(started);
                    throw copy.ended();
                }
            } while (!copy.complete());
        } catch (InterruptedException e) {
            var unused = started.unprotect();
            throw e;
        }
        return Views.protection(started, 0);
    }

    private static Protections.Asked asked(ProtectRequest request, AgentConfig.Vm vm) {
        return new Protections.Asked(
                request.epochMs() > 0 ? request.epochMs() : vm.epochMs(),
                request.tracker() == null ? vm.tracker() : request.tracker(),
                request.protection() == null ? vm.protection() : request.protection(),
                request.allowUnheldOutput());
    }

    @Override
    public ProtectionStatus protection(String vm, String mode, Progress progress)
            throws LockstepException, InterruptedException {
        ProtectedVm held = search.active(VmSelector.parse(vm));
        await(held.holdOutput(mode.equals("lockstep")));
        protections.switched(held, mode);
        return Views.protection(held, 0);
    }

    @Override
    public void unprotect(String vm, Progress progress) throws LockstepException, InterruptedException {
        VmSelector selector = VmSelector.parse(vm);
        ProtectedVm ended = search.ended(selector);
        if (ended != null) {
            protections.forget(ended);
            return;
        }
        ProtectedVm held = search.active(selector);
        await(held.unprotect());
        protections.forget(held);
    }

    @Override
    public Verification verify(String vm, Progress progress) throws LockstepException, InterruptedException {
        ProtectedVm held = search.active(VmSelector.parse(vm));
        VerifyResult result = await(held.verify());
        List<HostRamBlock> blocks = held.vm().blocks();
        return new Verification(
                held.ticket().vmName(),
                result.epoch(),
                result.pagesCompared(),
                result.pagesDiffering(),
                held.lastVerifyPauseNs() / NS_PER_MS,
                result.differing().stream()
                        .map(p ->
                                new DifferingPage(blocks.get(p.block()).block().name(), p.page() * RamBlock.PAGE_BYTES))
                        .toList());
    }

    @Override
    public Switchover switchover(String vm, Progress progress) throws LockstepException, InterruptedException {
        ProtectedVm held = search.active(VmSelector.parse(vm));
        long tookNs = await(held.switchover());
        return new Switchover(
                held.ticket().vmName(),
                held.ackedEpoch(),
                tookNs / NS_PER_MS,
                held.peer().name());
    }

    @Override
    public Promotion failover(String vm, boolean force, Progress progress) throws LockstepException {
        return Views.promotion(replicas.failover(vm, force), standbys.directory(vm));
    }

    @Override
    public DrillRun drill(String vm, Progress progress) throws LockstepException {
        Protections.Held held = protections.find(vm);
        if (held != null && replicas.status().stream().noneMatch(r -> r.vm().equals(vm) && r.promotion() == null)) {
            var peer = held.vm().peer();
            throw new LockstepException(
                    "drill-elsewhere",
                    vm + " runs here; a drill is made of its replica, which peer " + peer.name()
                            + " holds: run `lockstep drill " + vm + "` there, at "
                            + peer.address().getHostString() + ".");
        }
        return drills.drill(vm);
    }

    @Override
    public void discard(String vm) throws LockstepException {
        replicas.discard(vm);
    }

    @Override
    public List<JournalEpoch> journal(String vm, int limit) throws LockstepException {
        Protections.Held held = protections.find(vm);
        if (held != null && replicas.status().stream().noneMatch(r -> r.vm().equals(vm))) {
            throw new LockstepException(
                    "journal-elsewhere",
                    "the journal of " + vm + " is with its peer "
                            + held.vm().peer().name() + ": run `lockstep journal " + vm + "` there.");
        }
        return replicas.journal(vm, limit).stream()
                .map(e -> new JournalEpoch(e.epoch(), e.wallMs(), e.pages(), e.bytes()))
                .toList();
    }

    @Override
    public HardwareView hardware() {
        return hardware.view();
    }

    @Override
    public HardwareSummary hardwareSummary() {
        return hardware.summary();
    }

    @Override
    public HardwareView.Drill hardwareDrill(String name, byte[] recording) throws LockstepException {
        return hardware.drill(name, recording);
    }

    @Override
    public List<HardwareEventView> hardwareEvents(long after, int limit) {
        return hardware.events(after, limit);
    }

    @Override
    public int clearHardware(String part) {
        return hardware.clear(part);
    }

    @Override
    public Floor measureFloor(VmSelector selector, int samples, Progress progress) throws LockstepException {
        QemuProcess process = search.process(selector);
        protections.checkFree(process);
        try (AttachedVm vm = AttachedVm.open(process)) {
            double medianMs =
                    PauseFloor.medianNs(vm.qmp(), Path.of("/dev/shm/lockstep-floor-" + process.pid()), samples)
                            / NS_PER_MS;
            return new Floor(Protections.vmName(process), samples, new Quantiles(medianMs, medianMs, medianMs));
        }
    }

    private static boolean await(CompletableFuture<?> future, long timeoutMs) throws InterruptedException {
        try {
            future.get(timeoutMs, TimeUnit.MILLISECONDS);
            return true;
        } catch (TimeoutException e) {
            return false;
        } catch (ExecutionException e) {
            return true;
        }
    }

    /** The result of a verb of a protected VM; its refusal as an exception. */
    static <T> T await(CompletableFuture<T> future) throws LockstepException, InterruptedException {
        try {
            return future.get();
        } catch (ExecutionException e) {
            @Nullable Throwable cause = e.getCause();
            if (cause instanceof LockstepException refusal) {
                throw refusal;
            }
            throw new LockstepException("internal-error", "unexpected: " + cause, e);
        }
    }
}
