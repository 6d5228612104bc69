package io.lockstep.agent.system;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.lockstep.agent.view.HardwareSummary;
import io.lockstep.agent.view.HardwareView;
import io.lockstep.agent.view.Promotion;
import io.lockstep.replication.LockstepException;
import io.lockstep.replication.hypervisor.QmpConnection;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** A mirror failover is replayed on the host that runs a protected guest: what follows, and what does not. */
@Tag("system")
class HardwareSwitchoverTest {
    /** Bank 7 of a Skylake server: STATUS and MISC of facts that the decoder's tests name the source of. */
    private static final String RECORD =
            "{\"cpuid\":\"50654\",\"bank\":7,\"status\":\"8800000000000080\",\"misc\":\"8000000000000000\"}\n";

    private static final byte[] MIRROR_FAILOVER = RECORD.getBytes(StandardCharsets.UTF_8);
    private static final String PART = "memory of controller 0 channel 0";
    private static final String EVIDENCE = "memory failed over to its mirror, a drill (mce)";

    @Test
    @Timeout(180)
    void shouldRunTheVmOnThePeerAfterAMirrorFailoverAndSayWhy() throws Exception {
        try (TwoHosts hosts = new TwoHosts("[hardware]\nswitchover = \"on\"\nrefuseNew = \"on\"");
                LogLines log = new LogLines("io.lockstep.agent.policy")) {
            SystemVm vm = hosts.boot(SystemVm.Boot.micro("vm1"));
            double manualMs = thereAndBackMs(hosts, vm);
            Promotion before = hosts.b().promotion("vm1");
            Promotion home = hosts.a().awaitPromotion("vm1");
            hosts.a().protectWithStandby(home.pid(), hosts.b());
            hosts.a().awaitEpochs("vm1", 5);
            Waits.until("each other's health", 10, () -> healthy(hosts));

            double epochMs = hosts.a().protection("vm1").epochMs().p50();
            HardwareView.Drill drill = hosts.a().verbs().hardwareDrill("mirror.jsonl", MIRROR_FAILOVER);
            assertThat(drill.events()).isEqualTo(1);
            Waits.until("the VM on the peer", 30, () -> {
                Promotion now = hosts.b().promotion("vm1");
                return now != null && now.atMs() > before.atMs();
            });
            Promotion there = hosts.b().promotion("vm1");
            long eventMs = hosts.a().verbs().hardwareEvents(0, 10).stream()
                    .filter(event -> event.kind().equals("mirror_failover"))
                    .findFirst()
                    .orElseThrow()
                    .wallMs();
            System.out.printf(
                    "switchover, asked or caused to running on the peer: manual %.0f ms, from the event %d ms, epoch %.0f ms%n",
                    manualMs, there.atMs() - eventMs, epochMs);
            assertThat(there.reason()).isEqualTo("switchover");
            Waits.until("the end of the QEMU there", 10, () -> ProcessHandle.of(home.pid())
                    .isEmpty());
            vm.chain().awaitSweep();

            Waits.until("the last word of the switchover", 10, () -> outcomes(hosts.a())
                    .contains("done"));
            HardwareSummary status = hosts.a().verbs().hardwareSummary();
            assertThat(status.state()).isEqualTo("failing");
            assertThat(status.drill()).isNotNull();
            assertThat(status.drill().name()).isEqualTo("mirror.jsonl");
            assertThat(status.parts().get(0).component()).isEqualTo(PART);
            assertThat(status.parts().get(0).evidence())
                    .containsExactly("corrected error on " + PART + ": " + EVIDENCE);
            assertThat(hosts.a().verbs().hardwareEvents(0, 10))
                    .anyMatch(event -> event.kind().equals("mirror_failover")
                            && event.line().endsWith(EVIDENCE));
            String why = PART + " is failing: corrected error on " + PART + ": " + EVIDENCE;
            assertThat(status.actions().stream().filter(a -> a.action().equals("switchover")))
                    .extracting(a -> a.subject() + " " + a.outcome() + " " + a.text())
                    .containsExactly(
                            "vm1 started switching vm1 over to other, which is healthy: " + why,
                            "vm1 done vm1 runs on other now: " + why);
            assertThat(hosts.a().verbs().events().after(0, 1000).events())
                    .anyMatch(
                            e -> e.kind().equals("hardware-action") && e.text().endsWith(why));
            Waits.until("the line in the log", 10, () -> log.lines().stream()
                    .anyMatch(line -> line.contains("hardware switchover done: vm1 runs on other now: " + why)));

            assertThatThrownBy(() -> hosts.b().protect(there.pid()))
                    .isInstanceOf(LockstepException.class)
                    .hasMessageContaining("this host refuses a replica of vm1: " + why);
            assertThat(hosts.a().verbs().clearHardware("")).isEqualTo(1);
            Waits.until("a healthy host", 10, () -> {
                assertThat(hosts.a().verbs().hardwareSummary().drill()).isNull();
                return hosts.a().verbs().hardware().state().equals("healthy");
            });
            Waits.until("a welcome", 20, () -> welcome(hosts, there.pid()));
            hosts.b().verify("vm1");
        }
    }

    @Test
    @Timeout(180)
    void shouldMoveTheMostImportantVmFirst() throws Exception {
        try (TwoHosts hosts =
                new TwoHosts("[hardware]\nswitchover = \"on\"\n[vms.vm2]\npriority = 9\n[vms.vm3]\npriority = 5")) {
            for (String name : List.of("vm1", "vm2", "vm3")) {
                hosts.a()
                        .protectWithStandby(
                                hosts.boot(SystemVm.Boot.micro(name)).pid(), hosts.b());
                hosts.a().awaitEpochs(name, 5);
            }
            Waits.until("each other's health", 10, () -> healthy(hosts));
            hosts.a().verbs().hardwareDrill("mirror.jsonl", MIRROR_FAILOVER);
            for (String name : List.of("vm2", "vm3", "vm1")) {
                assertThat(hosts.b().awaitPromotion(name).reason()).isEqualTo("switchover");
            }
            Waits.until(
                    "the last word of the switchovers",
                    10,
                    () -> outcomes(hosts.a()).stream().filter("done"::equals).count() == 3);
            assertThat(hosts.a().verbs().hardwareSummary().actions().stream()
                            .filter(action -> action.action().equals("switchover"))
                            .map(action -> action.subject() + " " + action.outcome()))
                    .containsExactly("vm2 started", "vm2 done", "vm3 started", "vm3 done", "vm1 started", "vm1 done");
        }
    }

    /** By the port of QEMU's own device, as a guest's kernel writes to it; QEMU is told to let the guest run on. */
    @Test
    @Timeout(120)
    void shouldTellOfAGuestThatPanickedAndProtectItOn() throws Exception {
        try (TwoHosts hosts = new TwoHosts("[hardware]\nswitchover = \"on\"")) {
            SystemVm vm = hosts.boot(SystemVm.Boot.micro("vm1", "-device", "pvpanic", "-action", "panic=none"));
            hosts.a().protectWithStandby(vm.pid(), hosts.b());
            hosts.a().awaitEpochs("vm1", 5);
            try (QmpConnection monitor = vm.monitor()) {
                monitor.execute("human-monitor-command", Map.of("command-line", "o /b 0x505 1"));
            }
            Waits.until("the guest's panic", 20, () -> hosts.a().verbs().hardwareEvents(0, 10).stream()
                    .anyMatch(event -> event.kind().equals("guest_panic")
                            && event.line()
                                    .equals("notice on virtual machine vm1: the guest's kernel panicked (guests)")));
            assertThat(hosts.a().verbs().hardware().state()).isEqualTo("healthy");
            hosts.a().awaitEpochs("vm1", 5);
            vm.chain().awaitSweep();
            hosts.a().unprotect("vm1");
        }
    }

    private static boolean welcome(TwoHosts hosts, long pid) throws Exception {
        try {
            hosts.b().protect(pid);
            return true;
        } catch (LockstepException e) {
            assertThat(e).hasMessageContaining("refuses a replica");
            return false;
        }
    }

    private static double thereAndBackMs(TwoHosts hosts, SystemVm vm) throws Exception {
        hosts.a().protectWithStandby(vm.pid(), hosts.b());
        hosts.a().awaitEpochs("vm1", 5);
        long firstMs = System.currentTimeMillis();
        hosts.a().switchover("vm1");
        Promotion there = hosts.b().awaitPromotion("vm1");
        hosts.b().protectWithStandby(there.pid(), hosts.a());
        hosts.b().awaitEpochs("vm1", 5);
        long secondMs = System.currentTimeMillis();
        hosts.b().switchover("vm1");
        Promotion back = hosts.a().awaitPromotion("vm1");
        return (there.atMs() - firstMs + back.atMs() - secondMs) / 2.0;
    }

    private static boolean healthy(TwoHosts hosts) {
        return hosts.a().protection("vm1").peer().health().equals("healthy")
                && hosts.b()
                        .replica("vm1")
                        .map(replica -> replica.primary().health().equals("healthy"))
                        .orElse(false)
                && hosts.a().verbs().peers().get(0).health().equals("healthy");
    }

    private static List<String> outcomes(Host host) {
        return host.verbs().hardwareSummary().actions().stream()
                .map(HardwareView.Action::outcome)
                .toList();
    }

    @Test
    @Timeout(120)
    void shouldMoveNothingToASickerPeerUntilThatIsBetter() throws Exception {
        try (TwoHosts hosts = new TwoHosts("[hardware]\nswitchover = \"on\"")) {
            SystemVm vm = hosts.boot(SystemVm.Boot.micro("vm1"));
            hosts.a().protectWithStandby(vm.pid(), hosts.b());
            hosts.a().awaitEpochs("vm1", 5);
            hosts.b().verbs().hardwareDrill("b.jsonl", MIRROR_FAILOVER);
            Waits.until(
                    "the peer's word that it fails",
                    10,
                    () -> hosts.a().protection("vm1").peer().health().equals("failing"));
            assertThat(hosts.a().verbs().peers().get(0).health()).isEqualTo("failing");

            hosts.a().verbs().hardwareDrill("a.jsonl", MIRROR_FAILOVER);
            Waits.until("a decision", 10, () -> !outcomes(hosts.a()).isEmpty());
            assertThat(hosts.a().verbs().hardwareSummary().actions())
                    .singleElement()
                    .satisfies(action -> assertThat(action.text())
                            .startsWith("vm1 stays: its peer other, which is failing, is no better than this host; "
                                    + PART));
            hosts.a().awaitEpochs("vm1", 60);
            assertThat(outcomes(hosts.a())).containsExactly("refused");
            assertThat(hosts.b().promotion("vm1")).isNull();

            hosts.b().verbs().clearHardware("");
            assertThat(hosts.b().awaitPromotion("vm1").reason()).isEqualTo("switchover");
            vm.chain().awaitSweep();
        }
    }

    @Test
    @Timeout(120)
    void shouldSayInADryRunWhatItWouldDoAndDoNothing() throws Exception {
        try (TwoHosts hosts = new TwoHosts()) {
            SystemVm vm = hosts.boot(SystemVm.Boot.micro("vm1"));
            hosts.a().protectWithStandby(vm.pid(), hosts.b());
            hosts.a().awaitEpochs("vm1", 5);
            hosts.a().verbs().hardwareDrill("a.jsonl", MIRROR_FAILOVER);
            Waits.until("a decision", 10, () -> !outcomes(hosts.a()).isEmpty());
            assertThat(hosts.a().verbs().hardwareSummary().actions())
                    .singleElement()
                    .satisfies(action -> {
                        assertThat(action.outcome()).isEqualTo("dry-run");
                        assertThat(action.text())
                                .startsWith(
                                        "would switch vm1 over to other, which is healthy: " + PART + " is failing: ");
                    });
            hosts.a().awaitEpochs("vm1", 60);
            assertThat(hosts.b().promotion("vm1")).isNull();
            assertThat(outcomes(hosts.a())).containsExactly("dry-run");
            assertThatThrownBy(() -> hosts.a()
                            .verbs()
                            .hardwareDrill("wrong", "no recording at all".getBytes(StandardCharsets.UTF_8)))
                    .isInstanceOfSatisfying(
                            LockstepException.class, e -> assertThat(e.code()).isEqualTo("drill-empty"))
                    .hasMessageStartingWith("wrong holds no event: ");
            assertThat(hosts.a().verbs().hardwareSummary().drill().name()).isEqualTo("a.jsonl");
            vm.chain().awaitSweep();
        }
    }
}
