package io.lockstep.agent.demo;

import static org.assertj.core.api.Assertions.assertThat;

import io.lockstep.replication.hypervisor.QmpConnection;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
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

    private final List<Double> gapsMs = new ArrayList<>();
    private LogDisk disk;
    private DemoHost from;
    private DemoHost to;
    private String vm;
    private long pid;

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
        try (BridgedHosts hosts = new BridgedHosts(directory, EPOCH_MS)) {
            from = hosts.primary();
            to = hosts.peer();
            vm = hosts.vm();
            disk = LogDisk.create(hosts.files());
            String options = GuestNetwork.guestOption() + " " + LogDisk.guestOption();
            pid = hosts.boot(Guest.LINUX, disk.qemuArguments(), options).pid();
            try (CounterClient client = CounterClient.start(
                    new InetSocketAddress(GuestNetwork.GUEST_ADDRESS, GuestNetwork.PORT), LOG_EACH, hosts::enter)) {
                answers(client, "before any protection", 1);
                deed.perform(client);
                assertThat(client.lost()).isZero();
                assertThat(client.contradicted()).isZero();
            }
            hosts.passed();
        }
    }

    private void failOver(CounterClient client) throws Exception {
        SplittableRandom random = new SplittableRandom(SEED);
        for (int failover = 1; failover <= FAILOVERS; failover++) {
            String what = "failover " + failover + " of seed " + SEED;
            from.protect("pid:" + pid, (phase, done, total) -> {});
            assertThat(from.protection(vm).output().holding()).as(what).isTrue();
            parkFor(random.nextLong(PROTECTED_MS_MAX * 1_000_000L));
            killAndCompare(what, client);
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
        from.protect("pid:" + pid, (phase, done, total) -> {});
        answers(client, "held", ANSWERS_AFTER);
        for (String mode : List.of("async", "lockstep", "async", "lockstep")) {
            from.switchProtection(vm, mode);
            boolean held = mode.equals("lockstep");
            Deadline.await(mode, LONG, () -> from.holdsOutput(vm) == held);
            assertThat(from.protection(vm).output().protection()).isEqualTo(mode);
            answers(client, mode, ANSWERS_AFTER);
        }
        killAndCompare("the kill after switching", client);

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

    /** The VM has another QEMU then. */
    private void killAndCompare(String what, CounterClient client) throws Exception {
        client.check();
        client.roundTripMs();
        ProcessHandle.of(pid).ifPresent(ProcessHandle::destroyForcibly);
        pid = BridgedHosts.promoted(what, to, vm, pid);
        int before = client.loggedCount();
        Path copy = LogDisk.copyOf(pid, directory.resolve("promoted.raw"));
        int after = client.loggedCount();
        answers(client, what, ANSWERS_AFTER);
        gapsMs.add(client.roundTripMs().max());
        try {
            LogDisk.compare(disk.check(copy), before, after, client.logged());
        } catch (DemoFailure e) {
            throw new AssertionError(what + ": " + e.getMessage(), e);
        }
    }

    private static void answers(CounterClient client, String what, int more) throws DemoFailure, InterruptedException {
        long until = client.acks() + more;
        Deadline.await(what + ": answers", LONG, () -> {
            client.check();
            return client.acks() >= until;
        });
    }

    private static void parkFor(long ns) {
        long endNs = System.nanoTime() + ns;
        for (long leftNs = ns; leftNs > 0; leftNs = endNs - System.nanoTime()) {
            LockSupport.parkNanos(leftNs);
        }
    }
}
