package io.lockstep.replication.network;

import static org.assertj.core.api.Assertions.assertThat;

import io.lockstep.replication.hypervisor.HostGuest;
import java.nio.file.Path;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Netdevs that use vhost, whatever kernel this host has: QEMU runs in a machine with the distribution's kernel, which has vhost-net. */
@Tag("system")
@Timeout(420)
class VhostTest {
    private static final String OBSTACLE =
            ", obstacle=it uses vhost, which sends past QEMU, cure=start the VM with vhost=off on -netdev ";

    @TempDir
    Path directory;

    @Test
    void shouldFindVhostOrHearOfItFromQemu() throws Exception {
        HostGuest.Said said = HostGuest.run(directory, VhostGuestMain.class, 128, 1024, 300);
        String fast = "NetDevice[name=fast, nic=nic0" + OBSTACLE + "fast]";
        String slow = "NetDevice[name=slow, nic=nic1, obstacle=, cure=]";
        assertThat(said.starting("vhost: "))
                .as(said.everything())
                .containsExactly(
                        "vhost: found: [" + fast + ", " + slow + ", NetDevice[name=later, nic=nic2, obstacle=, cure=]]",
                        "vhost: tried: [" + fast + ", " + slow + ", NetDevice[name=later, nic=nic2" + OBSTACLE
                                + "later]]",
                        "vhost: left: false",
                        "vhost: refusal: true",
                        "vhost: output-not-holdable: What the VM sends through netdev fast (NIC nic0) cannot be held until the"
                                + " peer has it: it uses vhost, which sends past QEMU. Start the VM with vhost=off on -netdev"
                                + " fast; or give --allow-unheld-output to protect the VM without holding this netdev's output.",
                        "vhost: QEMU: QEMU refused object-add: Vhost is not supported.",
                        "exit 0");
    }
}
