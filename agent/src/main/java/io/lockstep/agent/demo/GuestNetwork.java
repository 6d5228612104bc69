package io.lockstep.agent.demo;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/** A network of the guest's own, in a network namespace that nobody else uses: a bridge, and on it a tap for each of the two hosts. */
public final class GuestNetwork {
    /** The guest's, on TCP port {@link #PORT} of which it answers requests. */
    public static final String GUEST_ADDRESS = "10.77.0.2";

    /** Where the guest's server listens. */
    public static final int PORT = 7;

    /** The guest's only NIC. */
    static final String MAC = "52:54:00:77:00:02";

    /** Between the two hosts. */
    static final String BRIDGE = "lockstep0";
    /** The NIC of the VM on the first host. */
    public static final String TAP_PRIMARY = "tap-a";
    /** And on the other. */
    public static final String TAP_PEER = "tap-b";

    private final List<String> prefix;

    /** @param prefix a command that runs another in the namespace; empty if this process is in it */
    public GuestNetwork(List<String> prefix) {
        this.prefix = List.copyOf(prefix);
    }

    /** Makes bridge and taps. */
    public void create() throws IOException, InterruptedException, DemoFailure {
        run("ip link set lo up");
        // A port that comes up forwards at once, as in a data centre; and no frame waits for neighbours to be found by
        // IPv6.
        run("ip link add " + BRIDGE + " type bridge forward_delay 0 mcast_snooping 0");
        run("ip addr add 10.77.0.1/24 dev " + BRIDGE);
        run("ip link set " + BRIDGE + " up");
        for (String tap : List.of(TAP_PRIMARY, TAP_PEER)) {
            run("ip tuntap add dev " + tap + " mode tap");
            run("ip link set " + tap + " master " + BRIDGE + " up");
        }
    }

    /** QEMU's arguments for the VM's only NIC. */
    public static List<String> qemuArguments() {
        return List.of(
                "-netdev",
                "tap,id=n0,ifname=" + TAP_PRIMARY + ",script=no,downscript=no,vhost=off",
                "-device",
                "virtio-net-pci,netdev=n0,mac=" + MAC);
    }

    /** The guest's option that makes it answer. */
    public static String guestOption() {
        return "addr=" + GUEST_ADDRESS;
    }

    /** What the configuration of each host must say, so that the standby there has that host's tap. */
    public static String configuration(String vm, boolean standbyOnPeer) {
        return "\n[vms." + vm + "]\nstandbyReplacements = [\"ifname=" + (standbyOnPeer ? TAP_PRIMARY : TAP_PEER)
                + "\", \"ifname=" + (standbyOnPeer ? TAP_PEER : TAP_PRIMARY) + "\"]\n";
    }

    private void run(String command) throws IOException, InterruptedException, DemoFailure {
        List<String> whole = new ArrayList<>(prefix);
        whole.addAll(List.of(command.split(" ", -1)));
        Process process = new ProcessBuilder(whole).redirectErrorStream(true).start();
        process.getOutputStream().close();
        String printed = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        if (process.waitFor() != 0) {
            throw new DemoFailure(command + ": " + printed.strip());
        }
    }
}
