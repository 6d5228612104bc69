package io.lockstep.agent.demo;

import static org.assertj.core.api.Assertions.assertThat;

import io.lockstep.agent.AgentPaths;
import io.lockstep.agent.view.ProtectionStatus;
import io.lockstep.linux.Pidfd;
import io.lockstep.replication.LockstepException;
import io.lockstep.replication.hypervisor.QmpConnection;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/**
 * One VM, its agent killed and stopped again and again at seeded random instants. {@code -Dlockstep.seed} and {@code -Dlockstep.kills} repeat
 * or prolong it.
 */
@Tag("system")
class AgentKillsTest {
    private static final long SEED = Long.getLong("lockstep.seed", 20_261_123L);
    private static final int KILLS = Integer.getInteger("lockstep.kills", 100);

    /** Some of those that are meant for a pause come after its end: more follow until half of {@link #KILLS} hit. */
    private static final int KILLS_MAX = 2 * KILLS;

    /** So short that the VM is held for a good part of the time. */
    private static final int EPOCH_MS = 5;

    /** Of this run only: other tests may look for VMs at the same time. */
    private static final String VM = "kills-" + ProcessHandle.current().pid();

    private static final int KILLS_PER_VERIFY = 10;
    private static final int SIGKILL = 9;
    private static final int SIGSTOP = 19;

    /** A kill comes within so much of the protection's return: about 20 epochs. */
    private static final int PROTECTED_MS_MAX = 100;

    /** A pause of the micro guest takes about a millisecond, and the signal needs some of it to come through. */
    private static final int INTO_PAUSE_US_MAX = 400;

    private static final int EPOCHS_AFTER = 3;
    private static final int TICKS_AFTER = 3;
    private static final Duration LONG = Duration.ofSeconds(60);

    private final Random random = new Random(SEED);
    private final List<Double> deadMs = new ArrayList<>();
    private final List<Double> backMs = new ArrayList<>();
    private final List<Double> gapMs = new ArrayList<>();
    private int stops;
    private int insidePause;

    @Test
    void shouldRunOnAndResumeWithoutAFullCopyWhenTheAgentIsKilledAtAnyInstant() throws Exception {
        Workspace workspace = new Workspace();
        boolean passed = false;
        try {
            run(workspace);
            passed = true;
        } finally {
            System.out.printf(
                    "agent kills: seed %d, %d done, %d by SIGSTOP, %d inside a pause%n",
                    SEED, backMs.size(), stops, insidePause);
            print("signal to death, ms", deadMs);
            print("death to protected again, ms", backMs);
            print("longest gap between the guest's ticks, ms", gapMs);
            workspace.killAll();
            workspace.remove(passed);
            if (!passed) {
                System.out.println("logs in " + workspace.directory());
            }
        }
    }

    private void run(Workspace workspace) throws Exception {
        Path directory = workspace.directory();
        Path project = Installation.in(Files.createDirectory(directory.resolve("product")))
                .project();
        DemoHost primary = new DemoHost(Hosts.PRIMARY, workspace, project);
        DemoHost peer = new DemoHost(Hosts.PEER, workspace, project);
        primary.createIdentity();
        peer.createIdentity();
        primary.configure(EPOCH_MS, peer, peer.port(), Path.of("/bin/false"));
        peer.configure(EPOCH_MS, primary, primary.port(), Path.of("/bin/false"));
        Path configuration = AgentPaths.under(directory.resolve(Hosts.PRIMARY)).configuration();
        Files.writeString(
                configuration, Files.readString(configuration).replace("timeoutMs = 5000", "timeoutMs = 1000"));
        primary.start();
        peer.start();
        try (SerialLog serial = new SerialLog(directory.resolve(VM + ".serial"))) {
            Process vm = boot(directory);
            primary.awaitAgent();
            peer.awaitAgent();
            Deadline.await("the guest's first tick", LONG, () -> serial.count() > 0);
            HashChain chain = Guest.MICRO.chain();
            ChainCheck check = new ChainCheck(chain);
            TickWatch ticks = new TickWatch(serial, check, chain.sweepTicks());
            primary.protect(VM, (phase, done, total) -> {});
            try (PauseWatch pauses = new PauseWatch(QmpConnection.open(testQmp(directory), LONG.toNanos()))) {
                for (int kill = 1; kill <= KILLS || (insidePause < KILLS / 2 && kill <= KILLS_MAX); kill++) {
                    kill(kill, primary, pauses, ticks);
                    check.take(serial.from(check.taken()));
                    if (kill % KILLS_PER_VERIFY == 0) {
                        assertThat(primary.verify(VM).pagesDiffering())
                                .as("pages that differ after kill %d", kill)
                                .isZero();
                    }
                }
                assertThat(vm.isAlive()).isTrue();
                assertThat(insidePause).as("kills inside a pause").isGreaterThanOrEqualTo(KILLS / 2);
            }
            Deadline.await("a standby", LONG, () -> standbyReady(peer));
            check.cutAt(ticks.printedBytes());
            vm.destroyForcibly();
            Deadline.await("the VM's promotion", LONG, () -> peer.promotion(VM) != null);
            ticks.awaitSweep();
        }
    }

    private void kill(int number, DemoHost primary, PauseWatch pauses, TickWatch ticks) throws Exception {
        boolean inside = insidePause * 2 < number;
        int signal = random.nextInt(3) == 0 ? SIGSTOP : SIGKILL;
        long waitNs = random.nextInt(PROTECTED_MS_MAX * 1000) * 1000L;
        long intoNs = random.nextInt(INTO_PAUSE_US_MAX) * 1000L;
        String what = "kill " + number + ", signal " + signal + (inside ? ", inside a pause" : "");
        long agentPid = primary.agent().pid();
        long ackedBefore = primary.protection(VM).ackedEpoch();
        parkFor(waitNs);
        int firstTick = Math.max(0, ticks.printed() - 1);
        try (Pidfd agent = Pidfd.open(agentPid)) {
            long signalledNs = System.nanoTime();
            if (inside) {
                if (pauses.inside(intoNs, () -> agent.sendSignal(signal)).get(LONG.toMillis(), TimeUnit.MILLISECONDS)) {
                    insidePause++;
                }
            } else {
                agent.sendSignal(signal);
            }
            stops += signal == SIGSTOP ? 1 : 0;
            assertThat(agent.awaitExit(LONG.toNanos())).as(what + ": ended").isTrue();
            long deadNs = System.nanoTime();
            deadMs.add((deadNs - signalledNs) / 1e6);
            Deadline.await(what + ": protection", LONG, () -> primary.protectsAgain(VM, agentPid));
            backMs.add((System.nanoTime() - deadNs) / 1e6);
        }
        Deadline.await(what + ": epochs", LONG, () -> ackedAfter(primary, ackedBefore));
        ticks.awaitPrinted(ticks.printed() + TICKS_AFTER);
        gapMs.add(ticks.longestGapMs(firstTick));
        ProtectionStatus now = primary.protection(VM);
        assertThat(now.fullCopies()).as(what + ": full copies").isZero();
        assertThat(now.scrub().mismatches()).as(what + ": scrub").isZero();
    }

    private static boolean ackedAfter(DemoHost primary, long epoch) throws DemoFailure {
        try {
            return primary.protection(VM).ackedEpoch() >= epoch + EPOCHS_AFTER;
        } catch (LockstepException | IOException e) {
            throw new DemoFailure("status: " + e.getMessage(), e);
        }
    }

    private static boolean standbyReady(DemoHost peer) throws DemoFailure {
        try {
            return peer.replica(VM).standbyReady();
        } catch (LockstepException | IOException e) {
            throw new DemoFailure("status: " + e.getMessage(), e);
        }
    }

    private static void parkFor(long ns) {
        long endNs = System.nanoTime() + ns;
        for (long leftNs = ns; leftNs > 0; leftNs = endNs - System.nanoTime()) {
            LockSupport.parkNanos(leftNs);
        }
    }

    private static Path testQmp(Path directory) {
        return directory.resolve("test.qmp");
    }

    /** A micro guest with a second monitor, for the test. */
    private static Process boot(Path directory) throws IOException, InterruptedException {
        List<String> command = new ArrayList<>(List.of("qemu-system-x86_64", "-name", VM, "-machine", "q35"));
        command.addAll(List.of("-accel", "tcg", "-m", "64M", "-nodefaults", "-display", "none"));
        command.addAll(List.of("-chardev", "file,id=serial,append=on,path=" + directory.resolve(VM + ".serial")));
        command.addAll(List.of("-serial", "chardev:serial"));
        for (Path qmp : List.of(directory.resolve(VM + ".qmp"), testQmp(directory))) {
            command.addAll(List.of("-qmp", "unix:" + qmp + ",server=on,wait=off"));
        }
        command.addAll(Guest.MICRO.bootArguments(guests()));
        return new ProcessBuilder(command)
                .redirectErrorStream(true)
                .redirectInput(Path.of("/dev/null").toFile())
                .redirectOutput(directory.resolve(VM + ".log").toFile())
                .start();
    }

    static Path guests() throws IOException, InterruptedException {
        Path script = Path.of(System.getProperty("lockstep.project", ".."), "agent", "guests", "build.sh");
        Process build = new ProcessBuilder(script.toString(), "--micro")
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
        String directory = new String(build.getInputStream().readAllBytes(), StandardCharsets.UTF_8).trim();
        assertThat(build.waitFor(120, TimeUnit.SECONDS)).isTrue();
        assertThat(build.exitValue()).isZero();
        return Path.of(directory);
    }

    private static void print(String what, List<Double> values) {
        List<Double> sorted = values.stream().sorted().toList();
        if (!sorted.isEmpty()) {
            System.out.printf(
                    "  %-42s p50 %.1f  p90 %.1f  max %.1f%n",
                    what,
                    sorted.get(sorted.size() / 2),
                    sorted.get(sorted.size() * 9 / 10),
                    sorted.get(sorted.size() - 1));
        }
    }
}
