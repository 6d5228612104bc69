package io.lockstep.agent.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.lockstep.agent.AgentPaths;
import io.lockstep.replication.hypervisor.HostGuest;
import io.lockstep.replication.link.Identity;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A VM that uses vhost, protected all the same: two agents and QEMU run in a machine with the distribution's kernel, which has vhost-net. */
@Tag("system")
@Timeout(420)
class VhostStatusTest {
    private static final String UNHELD = "fast, NIC nic0: it uses vhost, which sends past QEMU";

    private static final List<String> WHILE_PROTECTED = List.of(
            "vhost: json: lockstep, holding true, unheld [\"" + UNHELD + "\"]",
            "vhost: text: protection:lockstep output:held",
            "vhost: text: output not held: " + UNHELD);

    @TempDir
    Path directory;

    @Test
    void shouldHoldAllButTheVhostNetdevAndSayItAsLongAsItLasts() throws Exception {
        for (String host : VhostStatusGuestMain.HOSTS) {
            // The guest's own keytool would take 20 s.
            assertThat(Identity.openOrCreate(
                            AgentPaths.under(directory.resolve(host)).identity()))
                    .isNotNull();
        }
        List<String> expected = new ArrayList<>();
        expected.add(
                "vhost: protect: 3 lockstep protect: What the VM sends through netdev fast (NIC nic0) cannot be held until the"
                        + " peer has it: it uses vhost, which sends past QEMU. Start the VM with vhost=off on -netdev fast; or"
                        + " give --allow-unheld-output to protect the VM without holding this netdev's output.");
        expected.add("vhost: filters: []");
        expected.add("vhost: protect: 0 vm1 is protected: full copy in N, tracker soft-dirty.");
        expected.addAll(WHILE_PROTECTED);
        expected.add("vhost: filters: [lockstep-in-0 on slow, lockstep-out-0 on slow]");
        expected.add("vhost: announced: held 1, sent by slow 1, sent by fast true");
        expected.addAll(WHILE_PROTECTED);
        expected.add("vhost: peer: ready");
        expected.add("vhost: verify: 0 vm1: epoch N, N pages compared, 0 differ, paused for N");
        expected.add("vhost: unprotect: 0 vm1 is not protected any more.");
        expected.add("vhost: status: 0 Nothing is replicated to or from this host. 'lockstep vms' lists its VMs.");
        expected.add("vhost: filters: []");
        expected.add("exit 0");

        HostGuest.Said said = HostGuest.run(directory, VhostStatusGuestMain.class, 256, 3072, 390);
        assertThat(said.starting("vhost: ")).as(said.everything()).isEqualTo(expected);
    }
}
