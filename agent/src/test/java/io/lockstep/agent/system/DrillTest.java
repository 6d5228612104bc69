package io.lockstep.agent.system;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.lockstep.agent.events.AgentEvent;
import io.lockstep.agent.metrics.PrometheusText;
import io.lockstep.agent.view.DrillRun;
import io.lockstep.agent.view.DrillView;
import io.lockstep.agent.view.ProtectionStatus;
import io.lockstep.agent.view.ReplicaView;
import io.lockstep.replication.LockstepException;
import io.lockstep.replication.hypervisor.QmpConnection;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** A drill resumes a second standby from the replica of a real VM, while the VM stays protected, and leaves nothing. */
@Tag("system")
class DrillTest {
    private static final int DISK_BYTES = 16 << 20;

    private static final String PROCESS = "process ";

    private static DrillRun drill(Host on, String vm) throws Exception {
        return on.verbs().drill(vm, (phase, done, total) -> {});
    }

    /** Processes and files of drills. */
    private static List<String> left(TwoHosts hosts) throws IOException {
        List<String> found = new ArrayList<>();
        Path sockets = hosts.b().paths().run().resolve("drill");
        try (Stream<Path> entries = Files.list(Path.of("/proc"))) {
            entries.filter(process -> isDrill(process, sockets))
                    .forEach(process -> found.add(PROCESS + process.getFileName()));
        }
        for (Path top :
                List.of(sockets, hosts.b().paths().replicas(), hosts.b().paths().state())) {
            try (Stream<Path> tree = Files.exists(top) ? Files.walk(top) : Stream.empty()) {
                tree.filter(Files::isRegularFile)
                        .filter(file ->
                                file.startsWith(sockets) || file.toString().contains("/.drill/"))
                        .forEach(file -> found.add(file.toString()));
            }
        }
        return found;
    }

    private static boolean isDrill(Path process, Path sockets) {
        try {
            String line = new String(Files.readAllBytes(process.resolve("cmdline")), StandardCharsets.UTF_8);
            return line.startsWith("qemu-system") && line.contains(sockets + "/");
        } catch (IOException e) {
            return false; // It is no process, or has ended.
        }
    }

    @Test
    @Timeout(180)
    void shouldResumeASecondStandbyWithDisksAndNetworkWhileTheVmStaysProtected() throws Exception {
        try (TwoHosts hosts = new TwoHosts()) {
            Path disk = hosts.directory().resolve("disk.raw");
            byte[] content = new byte[DISK_BYTES];
            new Random(5).nextBytes(content);
            Files.write(disk, content);
            Path second = hosts.directory().resolve("second.raw");
            Files.write(second, content);
            SystemVm vm = hosts.boot(SystemVm.Boot.linux(
                    "vm1",
                    "",
                    "-drive",
                    "if=none,id=disk,format=raw,file=" + disk,
                    "-device",
                    "virtio-blk-pci,drive=disk",
                    "-blockdev",
                    "driver=file,node-name=file2,filename=" + second,
                    "-blockdev",
                    "driver=raw,node-name=disk2,file=file2",
                    "-device",
                    "virtio-blk-pci,drive=disk2",
                    "-netdev",
                    "user,id=n0",
                    "-device",
                    "virtio-net-pci,netdev=n0"));
            hosts.a().protectWithStandby(vm.pid(), hosts.b());
            hosts.a().awaitEpochs("vm1", 5);
            long standby = hosts.b().replica("vm1").orElseThrow().standbyPid();
            long before = hosts.a().protection("vm1").ackedEpoch();
            long serialBytes = Files.size(hosts.directory().resolve("vm1.serial"));

            DrillRun run = drill(hosts.b(), "vm1");
            System.out.println(run);

            assertThat(run.epoch()).isGreaterThanOrEqualTo(before - 8);
            assertThat(run.processors()).isEqualTo(1);
            assertThat(run.busyMs()).isPositive();
            assertThat(run.copiedBytes()).isBetween(16L << 20, 300L << 20);
            assertThat(run.totalMs()).isGreaterThan(run.copyMs() + run.startMs() + run.loadMs() + run.runMs());
            assertThat(left(hosts)).isEmpty();
            ProtectionStatus after = hosts.a().protection("vm1");
            assertThat(after.state().name()).isEqualTo("protected");
            assertThat(after.ackedEpoch()).as("epochs went on").isGreaterThan(before + 3);
            assertThat(after.fullCopies()).isEqualTo(1);
            ReplicaView replica = hosts.b().replica("vm1").orElseThrow();
            assertThat(replica.standbyPid()).isEqualTo(standby);
            assertThat(replica.drill().state()).isEqualTo(DrillView.PASSED);
            hosts.a().verify("vm1");
            // The guest of the drill wrote the same log: none of it may be in the VM's.
            vm.chain().awaitSweep();
            assertThat(Files.size(hosts.directory().resolve("vm1.serial"))).isGreaterThan(serialBytes);

            // After it, the failover is what it would have been without it.
            vm.kill();
            hosts.b().awaitPromotion("vm1");
            vm.chain().awaitSweep();
        }
    }

    @Test
    @Timeout(180)
    void shouldBeAbandonedForAFailoverInItsMidstAndLeaveNothing() throws Exception {
        try (TwoHosts hosts = new TwoHosts()) {
            Path disk = hosts.directory().resolve("disk.raw");
            Files.write(disk, new byte[DISK_BYTES]);
            SystemVm vm = hosts.boot(SystemVm.Boot.micro(
                    "vm1",
                    "-drive",
                    "if=none,id=disk,format=raw,file=" + disk,
                    "-device",
                    "virtio-blk-pci,drive=disk"));
            hosts.a().protectWithStandby(vm.pid(), hosts.b());
            hosts.a().awaitEpochs("vm1", 3);
            FutureTask<DrillRun> drill = new FutureTask<>(() -> drill(hosts.b(), "vm1"));
            new Thread(drill, "drill").start();
            String pid = frozenDrill(hosts);

            vm.kill();
            long promoted = hosts.b().awaitPromotion("vm1").pid();
            signal("CONT", pid);

            assertThatThrownBy(() -> drill.get(60, TimeUnit.SECONDS))
                    .cause()
                    .isInstanceOfSatisfying(
                            LockstepException.class, e -> assertThat(e.code()).isEqualTo("drill-abandoned"));
            Waits.until("nothing left of the drill", 20, () -> left(hosts).isEmpty());
            assertThat(ProcessHandle.of(promoted)).isPresent();
            vm.chain().awaitSweep();
        }
    }

    @Test
    @Timeout(180)
    void shouldHaveNoLinkToTheTapOfItsVm() throws Exception {
        String tap = "ld" + ProcessHandle.current().pid();
        try (TwoHosts hosts = new TwoHosts()) {
            // In a network namespace of its own: both hosts are this machine, and a tap has one user.
            SystemVm vm = hosts.boot(SystemVm.Boot.micro(
                            "vm1",
                            "-netdev",
                            "tap,id=n0,ifname=" + tap + ",script=no,downscript=no",
                            "-device",
                            "e1000,netdev=n0")
                    .startedBy("unshare", "--net"));
            hosts.a().protectWithStandby(vm.pid(), hosts.b());
            hosts.a().awaitEpochs("vm1", 3);
            assertThat(interfaces("self")).as("the standby's").contains(tap + ":");
            FutureTask<DrillRun> drill = new FutureTask<>(() -> drill(hosts.b(), "vm1"));
            new Thread(drill, "drill").start();
            String pid = frozenDrill(hosts);

            assertThat(network(pid)).isNotEqualTo(network("self")).isNotEqualTo(network(String.valueOf(vm.pid())));
            assertThat(interfaces(pid)).doesNotContain(tap + ":");
            signal("CONT", pid);
            assertThat(drill.get(60, TimeUnit.SECONDS).processors()).isEqualTo(1);
            assertThat(left(hosts)).isEmpty();
        }
    }

    /** The pid of the drill's QEMU, which stands still from now on. */
    private static String frozenDrill(TwoHosts hosts) throws Exception {
        AtomicReference<String> found = new AtomicReference<>();
        Waits.until("the drill's QEMU", 60, () -> {
            found.set(left(hosts).stream()
                    .filter(line -> line.startsWith(PROCESS))
                    .findFirst()
                    .orElse(null));
            return found.get() != null;
        });
        String pid = found.get().substring(PROCESS.length());
        signal("STOP", pid);
        return pid;
    }

    private static void signal(String name, String pid) throws Exception {
        List<String> command = List.of("kill", "-" + name, pid);
        Process process = new ProcessBuilder(command).inheritIO().start();
        assertThat(process.waitFor(30, TimeUnit.SECONDS)).isTrue();
        assertThat(process.exitValue()).as("%s", command).isZero();
    }

    private static Path network(String pid) throws IOException {
        return Files.readSymbolicLink(Path.of("/proc", pid, "ns/net"));
    }

    private static String interfaces(String pid) throws IOException {
        return Files.readString(Path.of("/proc", pid, "net/dev"));
    }

    @Test
    @Timeout(180)
    void shouldRunAsTheUserOfTheVmsQemu() throws Exception {
        try (TwoHosts hosts = new TwoHosts()) {
            SystemVm.Boot boot = SystemVm.Boot.micro("vm1", "-smp", "2");
            Path kernel = Guests.file("micro.elf");
            // That user sees nothing of root's cache.
            Path readable = Files.copy(kernel, hosts.directory().resolve("micro.elf"));
            List<String> options = boot.options().stream()
                    .map(option -> option.equals(kernel.toString()) ? readable.toString() : option)
                    .toList();
            SystemVm vm = hosts.boot(new SystemVm.Boot(
                    "vm1", List.of("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"), options));
            hosts.a().protectWithStandby(vm.pid(), hosts.b());
            hosts.a().awaitEpochs("vm1", 3);
            DrillRun run = drill(hosts.b(), "vm1");
            assertThat(run.processors()).isEqualTo(2);
            assertThat(left(hosts)).isEmpty();
            hosts.a().verify("vm1");
            // The unit's umask is not this test's: that user gets through by these modes.
            for (String above : List.of("standby", "drill")) {
                Path passed = hosts.b().paths().run().resolve(above);
                assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(passed)))
                        .as(above)
                        .isEqualTo("rwx--x--x");
            }
            Path standby = hosts.b().paths().run().resolve("standby/vm1");
            assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(standby)))
                    .isEqualTo("rwx--x--x");
            for (String roots : List.of("", "standby.pid", "standby.log")) {
                assertThat(Files.getAttribute(standby.resolve(roots), "unix:uid"))
                        .as(roots)
                        .isEqualTo(0);
            }
            assertThat(Files.getAttribute(standby.resolve("qemu"), "unix:uid")).isEqualTo(65534);
            assertThat(hosts.b().paths().run().resolve("drill")).isEmptyDirectory();
        }
    }

    @Test
    @Timeout(120)
    void shouldRefuseOnThePrimary() throws Exception {
        try (TwoHosts hosts = new TwoHosts()) {
            SystemVm vm = hosts.boot(SystemVm.Boot.micro("vm1"));
            hosts.a().protectWithStandby(vm.pid(), hosts.b());
            assertThatThrownBy(() -> drill(hosts.a(), "vm1"))
                    .isInstanceOfSatisfying(
                            LockstepException.class, e -> assertThat(e.code()).isEqualTo("drill-elsewhere"))
                    .hasMessage(
                            "vm1 runs here; a drill is made of its replica, which peer other holds: run `lockstep drill vm1`"
                                    + " there, at 127.0.0.1.");
            assertThatThrownBy(() -> drill(hosts.b(), "ghost"))
                    .isInstanceOfSatisfying(
                            LockstepException.class, e -> assertThat(e.code()).isEqualTo("replica-unknown"));
            assertThat(hosts.b().replica("vm1").orElseThrow().drill().state()).isEqualTo(DrillView.NONE);
        }
    }

    @Test
    @Timeout(120)
    void shouldDegradeTheVmOnBothHostsUntilADrillGoesWell() throws Exception {
        try (TwoHosts hosts = new TwoHosts("[drill]\nschedule = \"10s\"\n")) {
            SystemVm vm = hosts.boot(SystemVm.Boot.micro("vm1"));
            hosts.a().protectWithStandby(vm.pid(), hosts.b());
            // A standby finds the same program; the drill's is not there.
            Path block = hosts.b().paths().run().resolve("drill");
            Files.delete(block);
            Files.writeString(block, "in the way");
            assertThatThrownBy(() -> drill(hosts.b(), "vm1")).isInstanceOf(LockstepException.class);
            Waits.until(
                    "vm1 degraded on both hosts",
                    20,
                    () -> state(hosts.b()).equals("degraded")
                            && hosts.a().protection("vm1").state().name().equals("degraded"));
            assertThat(hosts.a().protection("vm1").state().reason())
                    .startsWith("on peer other, the last drill failed: ");
            assertThat(hosts.b().verbs().metrics(name -> name, Map.of())).contains("lockstep_drill_ok{vm=\"vm1\"} 0\n");
            assertThat(hosts.a().verbs().metrics(name -> name, Map.of()))
                    .contains("lockstep_protected{vm=\"vm1\"} 1\n");
            for (Host host : List.of(hosts.a(), hosts.b())) {
                assertThat(PrometheusText.complaints(host.verbs().metrics(name -> name, Map.of())))
                        .isEmpty();
            }
            assertThat(hosts.a().verbs().metrics(name -> name, Map.of()))
                    .contains("lockstep_lag_seconds_count{vm=\"vm1\"} ", "lockstep_release_seconds_count{vm=\"vm1\"} ")
                    .contains(stalls("capture vm1"), stalls("session vm1"), stalls("heartbeat vm1"))
                    .contains(stalls("encode-0 vm1"), stalls("send vm1"))
                    .contains(stalls("pause-guard vm1"), stalls("output vm1"))
                    .contains(stalls("hardware"), stalls("hardware-slow"), stalls("link-accept"), stalls("drills"));
            assertThat(hosts.b().verbs().metrics(name -> name, Map.of()))
                    .contains(stalls("apply vm1"), stalls("standby vm1"), stalls("replica vm1"), stalls("live vm1"))
                    .contains(stalls("drill-disk vm1"));
            // What the peer tells is looked at some times a second; its event follows the status.
            Waits.until("the event there", 20, () -> events(hosts.b(), AgentEvent.DRILL)
                    .contains("failed"));
            Waits.until("the event here", 20, () -> events(hosts.a(), AgentEvent.PROTECTION)
                    .contains("degraded"));

            Files.delete(block);
            // The schedule makes the next one.
            Waits.until(
                    "a drill that was due",
                    40,
                    () -> state(hosts.b()).equals("protected")
                            && hosts.a().protection("vm1").state().name().equals("protected"));
            assertThat(hosts.b().replica("vm1").orElseThrow().drill().state()).isEqualTo(DrillView.PASSED);
            Waits.until("the event of success", 20, () -> events(hosts.b(), AgentEvent.DRILL)
                    .contains("passed"));
        }
    }

    @Test
    @Timeout(180)
    void shouldRefuseWhileTheVmIsPausedAndDegradeItOnceTheDrillIsOverdue() throws Exception {
        try (TwoHosts hosts = new TwoHosts("[drill]\nschedule = \"10s\"\noverdueMs = 2000\n")) {
            SystemVm vm = hosts.boot(SystemVm.Boot.micro("vm1"));
            try (QmpConnection monitor = vm.monitor()) {
                monitor.execute("stop");
            }
            hosts.a().protectWithStandby(vm.pid(), hosts.b());
            assertThatThrownBy(() -> drill(hosts.b(), "vm1"))
                    .isInstanceOfSatisfying(
                            LockstepException.class, e -> assertThat(e.code()).isEqualTo("drill-vm-paused"));
            assertThat(left(hosts)).isEmpty();
            assertThat(hosts.b().replica("vm1").orElseThrow().drill().failures())
                    .as("refused is not failed")
                    .isZero();

            Waits.until(
                    "vm1 degraded on both hosts",
                    30,
                    () -> state(hosts.b()).equals("degraded")
                            && hosts.a().protection("vm1").state().name().equals("degraded"));
            assertThat(hosts.b().replica("vm1").orElseThrow().drill().state()).isEqualTo(DrillView.OVERDUE);
            assertThat(hosts.a().protection("vm1").state().reason())
                    .startsWith("on peer other, a drill has been due since ");
            assertThat(events(hosts.b(), AgentEvent.DRILL)).contains("refused");

            try (QmpConnection monitor = vm.monitor()) {
                monitor.execute("cont");
            }
            // Epochs from before may still be on their way, and what is acknowledged is applied later.
            hosts.a().awaitEpochs("vm1", 6);
            long running = hosts.a().protection("vm1").ackedEpoch();
            Waits.until(
                    "an epoch in which it runs",
                    20,
                    () -> hosts.b().replica("vm1").orElseThrow().appliedEpoch() >= running);
            drill(hosts.b(), "vm1");
            Waits.until(
                    "vm1 protected on both hosts",
                    20,
                    () -> state(hosts.b()).equals("protected")
                            && hosts.a().protection("vm1").state().name().equals("protected"));
        }
    }

    private static String stalls(String cycle) {
        return "lockstep_duty_cycle_stalls_total{cycle=\"" + cycle + "\"} ";
    }

    private static String state(Host host) {
        return host.replica("vm1").orElseThrow().state().name();
    }

    private static List<String> events(Host host, String kind) {
        return host.verbs().events().after(0, 1000).events().stream()
                .filter(event -> event.kind().equals(kind))
                .map(AgentEvent::state)
                .toList();
    }
}
