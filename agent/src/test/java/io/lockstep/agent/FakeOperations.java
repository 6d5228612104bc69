package io.lockstep.agent;

import io.lockstep.agent.events.EventLog;
import io.lockstep.agent.metrics.Metric;
import io.lockstep.agent.metrics.MetricsText;
import io.lockstep.agent.view.AgentView;
import io.lockstep.agent.view.DifferingPage;
import io.lockstep.agent.view.DiskView;
import io.lockstep.agent.view.DrillRun;
import io.lockstep.agent.view.DrillView;
import io.lockstep.agent.view.DryRun;
import io.lockstep.agent.view.EncodingBytes;
import io.lockstep.agent.view.ErrorView;
import io.lockstep.agent.view.Floor;
import io.lockstep.agent.view.HardwareEventView;
import io.lockstep.agent.view.HardwareSummary;
import io.lockstep.agent.view.HardwareView;
import io.lockstep.agent.view.HostView;
import io.lockstep.agent.view.InitialSync;
import io.lockstep.agent.view.JournalEpoch;
import io.lockstep.agent.view.OutputView;
import io.lockstep.agent.view.PauseParts;
import io.lockstep.agent.view.PeerView;
import io.lockstep.agent.view.Promotion;
import io.lockstep.agent.view.ProtectRequest;
import io.lockstep.agent.view.ProtectionStatus;
import io.lockstep.agent.view.Quantiles;
import io.lockstep.agent.view.ReplicaView;
import io.lockstep.agent.view.Role;
import io.lockstep.agent.view.Scrub;
import io.lockstep.agent.view.StateView;
import io.lockstep.agent.view.Switchover;
import io.lockstep.agent.view.Verification;
import io.lockstep.agent.view.VmSelector;
import io.lockstep.agent.view.VmSummary;
import io.lockstep.replication.DutyCycle;
import io.lockstep.replication.LockstepException;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.UnaryOperator;

/** A host with one VM to protect ({@code web1}), one replica ({@code db1}), and answers that never change. */
public class FakeOperations implements VmOperations {
    public static final String FINGERPRINT = "sha256:" + "a".repeat(64);

    /** What the last protect asked for. */
    public final AtomicReference<ProtectRequest> request = new AtomicReference<>();

    /** The process of {@code slow}; its QMP socket is {@code /run/slow.qmp}. */
    public static final String SLOW_PID = "4712";

    /** Protect of {@code slow} ends when this is counted down. */
    public final CountDownLatch slowProtect = new CountDownLatch(1);

    /** Pages that verify finds. */
    public volatile List<DifferingPage> differing = List.of();
    /** VMs that are not here; every other name is one's. */
    public final Set<String> absent = ConcurrentHashMap.newKeySet();

    /** Netdevs of the protected VM whose output is not held. */
    public volatile List<String> unheld = List.of();

    /** Without {@code ghost}. */
    public FakeOperations() {
        absent.add("ghost");
    }

    @Override
    public AgentView agent() {
        return new AgentView(
                "0.1.0",
                ProcessHandle.current().pid(),
                "/",
                "0.0.0.0:7500",
                FINGERPRINT,
                1_000,
                300,
                "17",
                5_000,
                Map.of("epoch", Map.of("epochMs", 25)));
    }

    /** What the tests publish. */
    public final EventLog events = new EventLog(64, 1_000);

    @Override
    public EventLog events() {
        return events;
    }

    @Override
    public String metrics(UnaryOperator<String> names, Map<String, DutyCycle> more) {
        MetricsText text = new MetricsText().add(Metric.PROTECTED, 1, "vm", names.apply("web1"));
        more.forEach((cycle, rounds) -> text.add(Metric.DUTY_CYCLE_STALLS, rounds.stalls(), "cycle", cycle));
        return text.render();
    }

    @Override
    public HostView host() {
        return new HostView(
                "host-a", "6.12.0", "amd64", 2, 4L << 30, "0123", "boot-1", "uuid-1", "failing", List.of("A2"));
    }

    @Override
    public List<PeerView> peers() {
        return List.of(new PeerView("b", "host-b:7500", FINGERPRINT, true, "healthy"));
    }

    @Override
    public HardwareView hardware() {
        return new HardwareView(
                "failing",
                new HardwareView.Drill("mirror.jsonl", 500, 3),
                List.of(new HardwareView.Part(
                        "DIMM CPU0 channel 1 slot 0 (A2), 32 GiB, serial 12AB",
                        "failing",
                        1_000,
                        2_000,
                        7,
                        1,
                        List.of("memory failed over to its mirror"),
                        "Replace it.")),
                List.of(
                        new HardwareView.Module(
                                "DIMM CPU0 channel 1 slot 0 (A2), 32 GiB, serial 12AB",
                                "A2",
                                0,
                                -1,
                                1,
                                0,
                                32L << 30,
                                "12AB",
                                "failing",
                                7,
                                1),
                        new HardwareView.Module(
                                "DIMM B2, 32 GiB", "B2", -1, -1, -1, -1, 32L << 30, "", "healthy", 0, 0)),
                List.of(new HardwareView.Source("trace", "deaf", "no events", "Boot another kernel.", 3, 2)),
                new HardwareView.Policy("dry-run", "failing", "dry-run", "off", "off", "off"),
                List.of(ACTION));
    }

    private static final HardwareView.Action ACTION = new HardwareView.Action(
            0, "switchover", "web1", "dry-run", "would switch web1 over to b, which is healthy: DIMM A2 is failing");

    @Override
    public HardwareSummary hardwareSummary() {
        HardwareView view = hardware();
        return new HardwareSummary(view.state(), view.drill(), view.parts(), view.actions());
    }

    @Override
    public HardwareView.Drill hardwareDrill(String name, byte[] recording) throws LockstepException {
        if (name.equals("empty")) {
            throw new LockstepException("drill-empty", "empty holds no event.");
        }
        return new HardwareView.Drill(name, 1_000, recording.length);
    }

    @Override
    public List<HardwareEventView> hardwareEvents(long after, int limit) {
        HardwareEventView event = new HardwareEventView(
                5,
                1_000,
                "poison",
                "deferred",
                "a DIMM",
                null,
                1,
                "mce",
                "deferred error on a DIMM: poison",
                "",
                false);
        return after >= 5 ? List.of() : List.of(event);
    }

    @Override
    public int clearHardware(String part) {
        return part.isEmpty() ? 2 : part.equals("A2") ? 1 : 0;
    }

    @Override
    public List<VmSummary> vms() {
        return List.of(
                new VmSummary(4711, "web1", "/run/web1.qmp", 256L << 20, "kvm", 64055, Role.NONE, "unprotected"),
                new VmSummary(0, "db1", null, 1L << 30, null, 0, Role.REPLICA, "standing-by"));
    }

    @Override
    public List<ProtectionStatus> protections() {
        return List.of(protection("web1"));
    }

    @Override
    public List<ReplicaView> replicas() {
        return List.of(new ReplicaView(
                "db1",
                new StateView(2, "standing-by", 1_000, "epoch 7 committed"),
                new PeerView("b", "host-b:7500", FINGERPRINT, true, "healthy"),
                1L << 30,
                7,
                6,
                true,
                99,
                8,
                4096,
                1.5,
                null,
                new DrillView("passed", 1_000, 812.5, 9_000_000, 1, 0, null),
                new ErrorView("link-corrupt", "frame 3: checksum 1 != 2.", 1_000)));
    }

    @Override
    public String vmName(Subject subject, String vm) throws LockstepException {
        String name = name(VmSelector.parse(vm));
        refuseAbsent(name);
        return name;
    }

    private static String name(VmSelector vm) {
        boolean slow = vm.value().equals(vm.kind() == VmSelector.Kind.PID ? SLOW_PID : "/run/slow.qmp");
        return slow ? "slow" : vm.value();
    }

    @Override
    public DryRun dryRun(ProtectRequest request) throws LockstepException {
        return new DryRun("web1", 4711, "soft-dirty", 256L << 20, 6, "7.2.0", List.of("qemu", "-name", "it's", "-S"));
    }

    @Override
    public ProtectionStatus protect(ProtectRequest request, Progress progress) throws InterruptedException {
        this.request.set(request);
        if (request.vm().value().equals("broken")) {
            throw new IllegalStateException("broken on purpose");
        }
        progress.report("initial-copy", 1 << 20, 4 << 20);
        if (name(request.vm()).equals("slow")) {
            slowProtect.await();
        }
        return protection(request.vm().value());
    }

    @Override
    public void unprotect(String vm, Progress progress) {}

    @Override
    public Verification verify(String vm, Progress progress) {
        return new Verification(vm, 12, 65_536, differing.size(), 41.25, differing);
    }

    @Override
    public Switchover switchover(String vm, Progress progress) {
        return new Switchover(vm, 13, 12.5, "b");
    }

    @Override
    public Promotion failover(String vm, boolean force, Progress progress) throws LockstepException {
        if (!force) {
            throw new LockstepException("no-fence", "no fence command is configured. Use --force.");
        }
        return new Promotion(7, "forced", 0, 21.5, 99, "/run/db1.qmp", 2_000);
    }

    @Override
    public ProtectionStatus protection(String vm, String mode, Progress progress) {
        return protection(vm);
    }

    @Override
    public DrillRun drill(String vm, Progress progress) {
        return new DrillRun(vm, 7, 12.5, 101, 202, 33.3, 250, 9, 607.8, 64 << 20, 2, 222.5);
    }

    @Override
    public void discard(String vm) {}

    @Override
    public List<JournalEpoch> journal(String vm, int limit) throws LockstepException {
        refuseAbsent(vm);
        return List.of(
                        new JournalEpoch(7, 1_700_000_000_000L, 12, 34_567),
                        new JournalEpoch(6, 1_700_000_000_000L - 25, 1, 99))
                .subList(0, Math.min(2, limit));
    }

    @Override
    public Floor measureFloor(VmSelector vm, int samples, Progress progress) {
        return new Floor(vm.value(), samples, new Quantiles(3.1, 4.2, 5.3));
    }

    private void refuseAbsent(String vm) throws LockstepException {
        if (absent.contains(vm)) {
            throw new LockstepException(
                    "no-such-vm", "no VM named " + vm + " runs here. 'lockstep vms' lists those that do.");
        }
    }

    private ProtectionStatus protection(String vm) {
        return new ProtectionStatus(
                vm,
                4711,
                Role.PRIMARY,
                new StateView(2, "protected", 1_000, "epoch 1 acknowledged"),
                new PeerView("b", "host-b:7500", FINGERPRINT, true, "healthy"),
                "userfaultfd-wp",
                256L << 20,
                6,
                41,
                40,
                25,
                new Quantiles(25.1, 26.2, 30.3),
                new Quantiles(3.4, 4.5, 9.9),
                new Quantiles(3.3, 4.4, 8.8),
                new PauseParts(
                        new Quantiles(0.9, 1.2, 3.0),
                        new Quantiles(0.5, 0.8, 2.0),
                        new Quantiles(0.4, 0.5, 0.9),
                        new Quantiles(0.3, 0.5, 0.8),
                        new Quantiles(0.8, 0.9, 2.1),
                        new Quantiles(0.4, 0.6, 1.0)),
                new Quantiles(1.1, 2.2, 3.3),
                new Quantiles(120, 480, 500),
                123L << 20,
                EncodingBytes.NONE,
                new InitialSync(256L << 20, 256L << 20, 640.5, 419_000_000, 0, 3, true),
                List.of(
                        new DiskView(
                                "virtio0",
                                "/var/lib/vm/root.qcow2",
                                "qcow2",
                                8L << 30,
                                false,
                                true,
                                1L << 30,
                                1L << 30,
                                2_500,
                                429_496_730,
                                0),
                        new DiskView("data", "/san/lun0", "raw", 1L << 40, true, false, 0, 0, 0, 0, 0)),
                new Scrub(320, 0),
                new OutputView("lockstep", true, unheld, 0, 1_234, 0, new Quantiles(0.1, 0.2, 0.3)),
                null,
                1,
                1,
                1);
    }
}
