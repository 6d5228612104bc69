package io.lockstep.agent.demo;

import static org.assertj.core.api.Assertions.assertThat;

import io.lockstep.agent.view.Promotion;
import io.lockstep.linux.NetworkNamespace;
import io.lockstep.replication.hypervisor.QmpConnection;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * Two agents with their supervisors, a guest whose only NIC is a tap on a bridge in a network namespace of its own and whose disk has an ext4 file
 * system, and a client that never reconnects. The VM is killed again and again, each time on the host that it has moved to, and its answers must go
 * on as if nothing had happened; each disk that it is promoted with must have what the client was told to be on it, and nothing that the guest's
 * memory does not know of.
 */
@Tag("system")
class NetworkFailoversTest {
    private static final int FAILOVERS = Integer.getInteger("lockstep.network.failovers", 20);
    private static final long SEED = Long.getLong("lockstep.network.seed", 20_261_124L);
    private static final int EPOCH_MS = 25;
    private static final Duration LONG = Duration.ofSeconds(60);

    /** The longest time of protection before a kill. */
    private static final int PROTECTED_MS_MAX = 600;

    private static final int ANSWERS_AFTER = 30;

    /** Every other request is on the guest's disk before it is acknowledged. */
    private static final int LOG_EACH = 2;

    @TempDir
    Path directory;

    private final String namespace = "lockstep-" + ProcessHandle.current().pid();
    private final List<String> inside = List.of("ip", "netns", "exec", namespace);
    private final List<Double> gapsMs = new ArrayList<>();
    private Workspace workspace;
    private LogDisk disk;
    private DemoHost from;
    private DemoHost to;
    private String vm;
    private GuestVm guest;

    @Test
    @Timeout(600)
    void shouldForgetNothingAcknowledgedOverTwentyFailoversInARow() throws Exception {
        run(this::failOver);
        System.out.printf("  gaps of the client, ms: %s%n", gapsMs);
    }

    @Test
    @Timeout(300)
    void shouldForgetNothingWhenTheProtectionIsSwitchedAndLeaveNothingWhenTheAgentDies() throws Exception {
        run(this::switchProtection);
    }

    /** What is done to the VM while the client asks it. */
    private interface Deed {
        void perform(CounterClient client) throws Exception;
    }

    private void run(Deed deed) throws Exception {
        ip("netns", "add", namespace);
        workspace = new Workspace();
        boolean passed = false;
        try {
            new GuestNetwork(inside).create();
            boot();
            try (CounterClient client = CounterClient.start(
                    new InetSocketAddress(GuestNetwork.GUEST_ADDRESS, GuestNetwork.PORT),
                    LOG_EACH,
                    () -> NetworkNamespace.enter(Path.of("/run/netns", namespace)))) {
                answers(client, "before any protection", 1);
                deed.perform(client);
                assertThat(client.lost()).isZero();
                assertThat(client.contradicted()).isZero();
            }
            passed = true;
        } finally {
            workspace.killAll();
            workspace.remove(passed);
            ip("netns", "del", namespace);
        }
    }

    private void boot() throws Exception {
        from = new DemoHost(Hosts.PRIMARY, workspace, launcher());
        to = new DemoHost(Hosts.PEER, workspace, launcher());
        from.createIdentity();
        to.createIdentity();
        from.configure(EPOCH_MS, to, to.port(), Path.of("/bin/false"));
        to.configure(EPOCH_MS, from, from.port(), Path.of("/bin/false"));
        vm = workspace.vmName();
        from.configureAlso(GuestNetwork.configuration(vm, false));
        to.configureAlso(GuestNetwork.configuration(vm, true));
        from.start();
        to.start();
        disk = LogDisk.create(workspace.directory());
        List<String> devices = new ArrayList<>(GuestNetwork.qemuArguments());
        devices.addAll(disk.qemuArguments());
        String options = GuestNetwork.guestOption() + " " + LogDisk.guestOption();
        guest = GuestVm.startWith(inside, Guest.LINUX, vm, "tcg", devices, options, guests(), workspace.directory());
        from.awaitAgent();
        to.awaitAgent();
    }

    private void failOver(CounterClient client) throws Exception {
        SplittableRandom random = new SplittableRandom(SEED);
        long pid = guest.pid();
        for (int failover = 1; failover <= FAILOVERS; failover++) {
            String what = "failover " + failover + " of seed " + SEED;
            from.protect("pid:" + pid, (phase, done, total) -> {});
            assertThat(from.protection(vm).output().holding()).as(what).isTrue();
            parkFor(random.nextLong(PROTECTED_MS_MAX * 1_000_000L));
            pid = killAndCompare(what, client, pid);
            DemoHost back = from;
            from = to;
            to = back;
        }
        from.protect("pid:" + pid, (phase, done, total) -> {});
        assertThat(from.verify(vm).pagesDiffering()).isZero();
        answers(client, "protected at the end", ANSWERS_AFTER);
    }

    /** From held output to output that passes, and back, and only then the kill; and then an agent that dies for good. */
    private void switchProtection(CounterClient client) throws Exception {
        long pid = guest.pid();
        from.protect("pid:" + pid, (phase, done, total) -> {});
        answers(client, "held", ANSWERS_AFTER);
        for (String mode : List.of("async", "lockstep", "async", "lockstep")) {
            from.switchProtection(vm, mode);
            boolean held = mode.equals("lockstep");
            Deadline.await(mode, LONG, () -> from.holdsOutput(vm) == held);
            assertThat(from.protection(vm).output().protection()).isEqualTo(mode);
            answers(client, mode, ANSWERS_AFTER);
        }
        pid = killAndCompare("the kill after switching", client, pid);

        to.protect("pid:" + pid, (phase, done, total) -> {});
        answers(client, "held on the other host", ANSWERS_AFTER);
        Path monitor = Path.of(to.promotion(vm).qmpPath());
        to.kill();
        // As systemd does when the agent has ended; the supervisor, which would have, is dead, too.
        to.releaseOutput();
        answers(client, "without an agent", ANSWERS_AFTER);
        try (QmpConnection qmp = QmpConnection.open(monitor, LONG.toNanos())) {
            assertThat(qmp.execute("query-chardev").toString()).doesNotContain("lockstep-in-", "lockstep-out-");
            assertThat(qmp.execute("qom-list", Map.of("path", "/objects")).toString())
                    .doesNotContain("lockstep-in-", "lockstep-out-");
        }
    }

    /** Returns the pid of the QEMU that the VM has then. */
    private long killAndCompare(String what, CounterClient client, long pid) throws Exception {
        client.check();
        client.roundTripMs();
        ProcessHandle.of(pid).ifPresent(ProcessHandle::destroyForcibly);
        long promoted = promoted(what, to, vm, pid);
        int before = client.loggedCount();
        Path copy = LogDisk.copyOf(promoted, directory.resolve("promoted.raw"));
        int after = client.loggedCount();
        answers(client, what, ANSWERS_AFTER);
        gapsMs.add(client.roundTripMs().max());
        try {
            LogDisk.compare(disk.check(copy), before, after, client.logged());
        } catch (DemoFailure e) {
            throw new AssertionError(what + ": " + e.getMessage(), e);
        }
        return promoted;
    }

    private static long promoted(String what, DemoHost host, String vm, long formerPid)
            throws DemoFailure, InterruptedException {
        long[] pid = {formerPid};
        Deadline.await(what + ": promotion", LONG, () -> {
            Promotion promotion = host.promotion(vm);
            pid[0] = promotion == null ? formerPid : promotion.pid();
            return pid[0] != formerPid && ProcessHandle.of(pid[0]).isPresent();
        });
        return pid[0];
    }

    private static void answers(CounterClient client, String what, int more) throws DemoFailure, InterruptedException {
        long until = client.acks() + more;
        Deadline.await(what + ": answers", LONG, () -> {
            client.check();
            return client.acks() >= until;
        });
    }

    /** The product, started in the namespace. */
    private Path launcher() throws Exception {
        Path wrapped = directory.resolve("inside");
        if (!Files.exists(wrapped)) {
            Path project = Installation.in(directory.resolve("product")).project();
            Path launcher = Files.createDirectories(wrapped).resolve("lockstep");
            Files.writeString(
                    launcher,
                    "#!/bin/sh\nexec " + String.join(" ", inside) + " '" + project.resolve("lockstep") + "' \"$@\"\n");
            Files.setPosixFilePermissions(launcher, PosixFilePermissions.fromString("rwxr-xr-x"));
        }
        return wrapped;
    }

    private static Path guests() throws Exception {
        Path script = Path.of(System.getProperty("lockstep.project", ".."), "agent", "guests", "build.sh");
        Process build = new ProcessBuilder(script.toString())
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
        String printed = new String(build.getInputStream().readAllBytes(), java.nio.charset.StandardCharsets.UTF_8);
        assertThat(build.waitFor(300, TimeUnit.SECONDS)).isTrue();
        assertThat(build.exitValue()).isZero();
        return Path.of(printed.trim());
    }

    private static void ip(String... arguments) throws Exception {
        List<String> command = new ArrayList<>(List.of("ip"));
        command.addAll(List.of(arguments));
        Process process = new ProcessBuilder(command).inheritIO().start();
        assertThat(process.waitFor(30, TimeUnit.SECONDS)).as("%s", command).isTrue();
        assertThat(process.exitValue()).as("%s", command).isZero();
    }

    private static void parkFor(long ns) {
        long endNs = System.nanoTime() + ns;
        for (long leftNs = ns; leftNs > 0; leftNs = endNs - System.nanoTime()) {
            LockSupport.parkNanos(leftNs);
        }
    }
}
