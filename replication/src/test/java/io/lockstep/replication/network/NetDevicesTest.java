package io.lockstep.replication.network;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import org.junit.jupiter.api.Test;

class NetDevicesTest {
    private static final String TAP = """
            virtio-net-pci.0: index=0,type=nic,model=virtio-net-pci,macaddr=52:54:00:12:34:56
             \\ n0: index=0,type=tap,ifname=tap0,script=no,downscript=no
            """;

    @Test
    void shouldFindTheNetdevOfEveryNicWhenSomeHaveNoName() {
        String network = TAP + """
                nic1: index=0,type=nic,model=e1000,macaddr=52:54:00:12:34:57
                 \\ #net027: index=0,type=user,net=10.0.2.0,restrict=off
                filters:
                  - lockstep-in-0: type=filter-redirector,indev=lockstep-in-0,netdev=n0,queue=rx
                e1000.2: index=0,type=nic,model=e1000,macaddr=52:54:00:12:34:58
                n9: index=0,type=user,net=10.0.2.0,restrict=off
                """;
        assertThat(NetDevices.parse(network, List.of()))
                .containsExactly(
                        new NetDevice("n0", "virtio-net-pci.0", "", ""), new NetDevice("#net027", "nic1", "", ""));
    }

    @Test
    void shouldFindThePortOfAHubThatANicIsPluggedInto() {
        String network = """
                hub 0
                 \\ hub0port1: #net167: index=0,type=user,net=10.0.2.0,restrict=off
                 \\ hub0port0: e1000.0: index=0,type=nic,model=e1000,macaddr=52:54:00:12:34:56
                """;
        assertThat(NetDevices.parse(network, List.of())).containsExactly(new NetDevice("hub0port0", "e1000.0", "", ""));
    }

    @Test
    void shouldNameTheNetdevAndTheCureWhenItHasSeveralQueues() {
        List<NetDevice> found = NetDevices.parse(
                TAP + "virtio-net-pci.1: index=1,type=nic,\n \\ n0: index=1,type=tap,ifname=tap0,script=no\n",
                List.of());
        assertThatThrownBy(() -> NetDevices.requireHoldable(found))
                .hasMessage(
                        "What the VM sends through netdev n0 (NIC virtio-net-pci.0) cannot be held until the peer has it: it has "
                                + "several queues, which QEMU's filters do not take. Start the VM without queues= on -netdev n0 and without"
                                + " mq=on on its device; or give --allow-unheld-output to protect the VM without holding this netdev's output.");
        assertThat(NetDevices.refused(found.get(0), "QEMU refused object-add: multiqueue is not supported."))
                .isEqualTo(found.get(0));
    }

    @Test
    void shouldNameTheNetdevAndTheCureWhenItUsesVhost() {
        String netdev = "tap,id=n0,ifname=tap0,script=no,vhost=on";
        List<NetDevice> found = NetDevices.parse(TAP, List.of("qemu-system-x86_64", "-netdev", netdev));
        assertThatThrownBy(() -> NetDevices.requireHoldable(found))
                .hasMessage(
                        "What the VM sends through netdev n0 (NIC virtio-net-pci.0) cannot be held until the peer has it: it uses"
                                + " vhost, which sends past QEMU. Start the VM with vhost=off on -netdev n0; or give --allow-unheld-output"
                                + " to protect the VM without holding this netdev's output.");
        assertThat(NetDevices.refused(new NetDevice("n0", "virtio-net-pci.0", "", ""), "Vhost is not supported"))
                .isEqualTo(found.get(0));
        for (String another : List.of(
                "tap,fd=20,vhostfd=21,id=n0",
                "tap,fds=20:21,vhostfds=22:23,id=n0",
                // As libvirt writes it
                "{\"type\":\"tap\",\"fd\":\"20\",\"vhost\":true,\"vhostfd\":\"21\",\"id\":\"n0\"}")) {
            assertThat(NetDevices.parse(TAP, List.of("-netdev", another))).isEqualTo(found);
        }
        assertThat(NetDevices.parse(TAP, List.of("-netdev", "tap,id=n1,vhost=on")))
                .containsExactly(new NetDevice("n0", "virtio-net-pci.0", "", ""));
    }

    @Test
    void shouldSayWhatQemuSaysWhenItRefusesANetdevForAnotherReason() {
        assertThatThrownBy(() -> NetDevices.requireHoldable(
                        List.of(NetDevices.refused(new NetDevice("n0", "nic0", "", ""), "not today"))))
                .hasMessage(
                        "What the VM sends through netdev n0 (NIC nic0) cannot be held until the peer has it: not today. Give"
                                + " --allow-unheld-output to protect the VM without holding this netdev's output.");
    }
}
