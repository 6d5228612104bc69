package io.lockstep.agent.demo;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import org.jspecify.annotations.Nullable;

/** The two hosts of a run: the primary's agent, the peer's, the cable between them where it must be cut, and the fence. Single-threaded. */
final class Hosts implements AutoCloseable {
    /** Name of the host that the VM starts on. */
    static final String PRIMARY = "host-a";
    /** Name of the host that holds the replica. */
    static final String PEER = "host-b";

    private final DemoHost primary;
    private final DemoHost peer;
    private final Fence fence;
    private final DemoOptions options;
    private final String vm;
    private @Nullable Relay relay;

    Hosts(Workspace workspace, DemoOptions options) throws IOException {
        fence = new Fence(workspace.directory());
        this.options = options;
        vm = workspace.vmName();
        primary = new DemoHost(PRIMARY, workspace, options.project());
        peer = new DemoHost(PEER, workspace, options.project());
    }

    /** Gives both an identity and a configuration, starts their agents, and returns when both answer. */
    void start() throws IOException, InterruptedException, DemoFailure {
        fence.write();
        primary.createIdentity();
        peer.createIdentity();
        int wayToPeer = peer.port();
        if (options.kill() == Kill.HOST) {
            relay = new Relay(new InetSocketAddress(InetAddress.getLoopbackAddress(), peer.port()));
            wayToPeer = relay.port();
        }
        primary.configure(options.epochMs(), peer, wayToPeer, fence.command());
        peer.configure(options.epochMs(), primary, primary.port(), fence.command());
        if (options.network()) {
            primary.configureAlso(GuestNetwork.configuration(vm, false));
            peer.configureAlso(GuestNetwork.configuration(vm, true));
        }
        primary.start();
        peer.start();
        primary.awaitAgent();
        peer.awaitAgent();
    }

    /** The VM's name. */
    String vm() {
        return vm;
    }

    /** The agent that the VM starts under. */
    DemoHost primary() {
        return primary;
    }

    /** The agent that holds the replica. */
    DemoHost peer() {
        return peer;
    }

    /** Tells the fence which processes make up the host that is about to die. */
    void writeFence(GuestVm vm) throws IOException {
        fence.nameProcesses(vm.pid() + " " + primary.pids());
    }

    /** What a power cut does: nothing more comes over the cable, and everything is dead. */
    void killPrimary(GuestVm vm) {
        if (relay != null) {
            relay.silence();
        }
        vm.kill();
        primary.kill();
    }

    @Override
    public void close() throws IOException {
        if (relay != null) {
            relay.close();
        }
    }
}
