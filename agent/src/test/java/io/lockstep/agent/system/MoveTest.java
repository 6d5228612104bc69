package io.lockstep.agent.system;

import static org.assertj.core.api.Assertions.assertThat;

import io.lockstep.agent.view.Promotion;
import io.lockstep.agent.view.ProtectionStatus;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Tag("system")
class MoveTest {
    @Test
    @Timeout(180)
    void shouldLoseNothingWhenMovedThereAndBackAndKilled() throws Exception {
        try (TwoHosts hosts = new TwoHosts()) {
            SystemVm vm = hosts.boot(SystemVm.Boot.micro("vm1"));
            hosts.a().protectWithStandby(vm.pid(), hosts.b());
            hosts.a().awaitEpochs("vm1", 5);
            hosts.a().verify("vm1");

            hosts.a().switchover("vm1");
            Promotion there = hosts.b().awaitPromotion("vm1");
            vm.chain().awaitSweep();

            ProtectionStatus back = hosts.b().protectWithStandby(there.pid(), hosts.a());
            assertThat(back.fullCopies()).isEqualTo(1);
            hosts.b().verify("vm1");
            hosts.b().switchover("vm1");
            Promotion home = hosts.a().awaitPromotion("vm1");
            vm.chain().awaitSweep();

            hosts.a().protectWithStandby(home.pid(), hosts.b());
            hosts.a().awaitEpochs("vm1", 5);
            hosts.a().verify("vm1");
            vm.chain().cut();
            ProcessHandle.of(home.pid()).orElseThrow().destroyForcibly();
            Waits.until("another promotion", 30, () -> {
                Promotion latest = hosts.b().promotion("vm1");
                return latest != null && latest.pid() != there.pid();
            });
            assertThat(hosts.b().promotion("vm1").reason()).isEqualTo("vm-died");
            vm.chain().awaitSweep();
        }
    }

    @Test
    @Timeout(120)
    void shouldHoldAReplicaWhileItProtectsAnotherVm() throws Exception {
        try (TwoHosts hosts = new TwoHosts()) {
            SystemVm first = hosts.boot(SystemVm.Boot.micro("vm1"));
            SystemVm second = hosts.boot(SystemVm.Boot.micro("vm2"));
            hosts.a().protectWithStandby(first.pid(), hosts.b());
            hosts.b().protectWithStandby(second.pid(), hosts.a());
            hosts.a().awaitEpochs("vm1", 5);
            hosts.b().awaitEpochs("vm2", 5);
            hosts.a().verify("vm1");
            hosts.b().verify("vm2");

            first.kill();
            hosts.b().awaitPromotion("vm1");
            first.chain().awaitSweep();
            hosts.b().verify("vm2");
            hosts.b().switchover("vm2");
            hosts.a().awaitPromotion("vm2");
            second.chain().awaitSweep();
        }
    }

    /** A ring of which a short hold may fill 512 slots, and a guest that writes thousands of pages an epoch. */
    @Test
    @Timeout(120)
    void shouldMoveTheVmWhenItWritesMoreThanAShortHoldCopies() throws Exception {
        try (TwoHosts hosts = new TwoHosts("[pipeline]\npageCacheBytes = 16777216\nringSlots = 1024")) {
            SystemVm vm = hosts.boot(SystemVm.Boot.linux("vm1", "hog=32"));
            hosts.a().protectWithStandby(vm.pid(), hosts.b());
            hosts.a().awaitEpochs("vm1", 3);
            Waits.until(
                    "an epoch of more than 512 pages",
                    30,
                    () -> hosts.a().protection("vm1").dirtyPages().max() > 512);

            hosts.a().switchover("vm1");
            assertThat(hosts.b().awaitPromotion("vm1").reason()).isEqualTo("switchover");
            vm.chain().awaitSweep();
        }
    }

    @Test
    @Timeout(120)
    void shouldRunOnThePeerWhenTheVmDiesWhileThePeersAgentIsAway() throws Exception {
        try (TwoHosts hosts = new TwoHosts()) {
            SystemVm vm = hosts.boot(SystemVm.Boot.micro("unheard"));
            hosts.a().protectWithStandby(vm.pid(), hosts.b());
            hosts.a().awaitEpochs("unheard", 5);
            hosts.b().daemon().close();
            vm.kill();
            Waits.until(
                    "the end of the protection",
                    20,
                    () -> hosts.a().protection("unheard").state().name().equals("vm-died"));

            Promotion promotion = hosts.startAgainB().awaitPromotion("unheard");

            assertThat(promotion.reason()).isEqualTo("vm-died");
            vm.chain().awaitSweep();
        }
    }
}
