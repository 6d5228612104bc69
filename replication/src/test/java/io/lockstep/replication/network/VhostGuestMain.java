package io.lockstep.replication.network;

import io.lockstep.linux.EventCounter;
import io.lockstep.replication.LockstepException;
import io.lockstep.replication.hypervisor.QmpConnection;
import io.lockstep.replication.hypervisor.TestVm;
import java.util.List;
import java.util.Map;

/**
 * Says what is found of the netdevs of a QEMU, one of which uses vhost from its start and one that came later, and what QEMU says of filters on
 * them. Runs in the host guest, whose kernel has vhost.
 */
final class VhostGuestMain {
    private static final int LOG_BYTES = 1 << 20;

    private VhostGuestMain() {}

    public static void main(String[] arguments) throws Exception {
        try (TestVm vm = TestVm.start(
                        "-S",
                        "-netdev",
                        "tap,id=fast,script=no,downscript=no,vhost=on",
                        "-device",
                        "virtio-net-pci,netdev=fast,id=nic0",
                        "-netdev",
                        "tap,id=slow,script=no,downscript=no,vhost=off",
                        "-device",
                        "virtio-net-pci,netdev=slow,id=nic1");
                QmpConnection qmp = vm.connect()) {
            qmp.execute(
                    "netdev_add",
                    Map.of("type", "tap", "id", "later", "script", "no", "downscript", "no", "vhost", true));
            qmp.execute("device_add", Map.of("driver", "virtio-net-pci", "netdev", "later", "id", "nic2"));
            List<NetDevice> found = NetDevices.find(qmp, vm.pid(), vm.found().commandLine());
            say("found", found);
            say("tried", OutputHold.tried(qmp, found));
            say("left", qmp.execute("query-chardev").toString().contains("lockstep-in"));
            NetDevice unlooked = new NetDevice("fast", "nic0", "", "");
            say("refusal", NetFilter.tried(qmp, unlooked).equals(found.get(0)));
            try (EventCounter request = new EventCounter();
                    OutputHold hold = new OutputHold("vm", List.of(unlooked), LOG_BYTES, request, ns -> {})) {
                hold.install(qmp);
            } catch (LockstepException e) {
                say(e.code(), e.getMessage());
            }
            try {
                qmp.execute(
                        "object-add", Map.of("qom-type", "filter-buffer", "id", "f0", "netdev", "fast", "interval", 1));
            } catch (LockstepException e) {
                say("QEMU", e.getMessage());
            }
        }
    }

    private static void say(String what, Object value) {
        System.out.println("vhost: " + what + ": " + value);
    }
}
