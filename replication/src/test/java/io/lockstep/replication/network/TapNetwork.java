package io.lockstep.replication.network;

import static org.assertj.core.api.Assertions.assertThat;

import io.lockstep.replication.hypervisor.TestVm;
import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.awaitility.Awaitility;

/**
 * A network namespace with a VM's tap in a bridge, and at the bridge's other port a QEMU without a machine, which writes each frame to a stream.
 */
final class TapNetwork implements AutoCloseable {
    private static final String TAP = "tap-vm";
    private static final String TAP_WATCHER = "tap-watcher";
    private static final String FORWARDING = "3"; // include/uapi/linux/if_bridge.h, BR_STATE_FORWARDING

    private final String namespace;
    private final Path directory;
    private final ServerSocketChannel listener = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
    private final TestVm watcher;
    private final SocketChannel stream;
    private final ByteBuffer received = ByteBuffer.allocate(1 << 20);

    TapNetwork() throws IOException {
        namespace = "lockstep-tap-" + ProcessHandle.current().pid();
        directory = Files.createTempDirectory("lockstep-wire");
        ip("netns", "add", namespace);
        ip("-n", namespace, "link", "add", "bridge", "type", "bridge", "forward_delay", "0", "mcast_snooping", "0");
        ip("-n", namespace, "link", "set", "bridge", "up");
        for (String tap : List.of(TAP, TAP_WATCHER)) {
            ip("-n", namespace, "tuntap", "add", "dev", tap, "mode", "tap");
            ip("-n", namespace, "link", "set", tap, "master", "bridge", "up");
        }
        Path socket = directory.resolve("wire");
        listener.bind(UnixDomainSocketAddress.of(socket));
        watcher = TestVm.startAs(
                inside(),
                "-machine",
                "none",
                "-netdev",
                netdev("tap", TAP_WATCHER),
                "-netdev",
                "stream,id=wire,server=off,addr.type=unix,addr.path=" + socket,
                "-netdev",
                "hubport,id=in,hubid=0,netdev=tap",
                "-netdev",
                "hubport,id=out,hubid=0,netdev=wire");
        stream = listener.accept();
        stream.configureBlocking(false);
    }

    /** What a QEMU in the namespace is started with. */
    List<String> inside() {
        return List.of("ip", "netns", "exec", namespace);
    }

    /** The netdev of a VM on its tap. */
    String netdev(String id) {
        return netdev(id, TAP);
    }

    private static String netdev(String id, String tap) {
        return "tap,id=" + id + ",ifname=" + tap + ",script=no,downscript=no,vhost=off,vnet_hdr=off";
    }

    /** Returns when what the VM sends is heard. */
    void awaitConnected() {
        Awaitility.await("ports that forward")
                .pollInterval(2, TimeUnit.MILLISECONDS)
                .atMost(10, TimeUnit.SECONDS)
                .until(() -> forwards(TAP) && forwards(TAP_WATCHER));
    }

    private boolean forwards(String tap) throws IOException {
        return run("ip", "netns", "exec", namespace, "cat", "/sys/class/net/" + tap + "/brport/state")
                .trim()
                .equals(FORWARDING);
    }

    /** The frames of an Ethernet type that have come since the last call. */
    List<byte[]> take(int type) throws IOException {
        while (stream.read(received) > 0) {
            assertThat(received.hasRemaining()).isTrue();
        }
        received.flip();
        List<byte[]> frames = new ArrayList<>();
        while (received.remaining() >= Integer.BYTES
                && received.remaining() - Integer.BYTES >= received.getInt(received.position())) {
            byte[] frame = new byte[received.getInt()];
            received.get(frame);
            if ((ByteBuffer.wrap(frame).getShort(12) & 0xFFFF) == type) {
                frames.add(frame);
            }
        }
        received.compact();
        return frames;
    }

    @Override
    public void close() throws IOException {
        stream.close();
        watcher.close();
        listener.close();
        Files.delete(directory.resolve("wire"));
        Files.delete(directory);
        ip("netns", "del", namespace);
    }

    static void ip(String... arguments) throws IOException {
        List<String> command = new ArrayList<>(List.of("ip"));
        command.addAll(List.of(arguments));
        run(command.toArray(new String[0]));
    }

    private static String run(String... command) throws IOException {
        Process process = new ProcessBuilder(command)
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
        String printed = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(process.onExit()
                        .completeOnTimeout(null, 30, TimeUnit.SECONDS)
                        .join())
                .as("%s", List.of(command))
                .isNotNull();
        assertThat(process.exitValue()).as("%s", List.of(command)).isZero();
        return printed;
    }
}
