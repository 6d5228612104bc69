package io.lockstep.agent.system;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.DatagramChannel;
import java.util.HashMap;
import java.util.Map;

/** The other end of a netdev that makes a datagram of each frame, on the loopback interface. */
public final class Wire implements AutoCloseable {
    /** What QEMU announces an address with. */
    static final int RARP = 0x8035;

    private static final int SOURCE = 6;
    private static final int TYPE = 12;

    private final DatagramChannel channel = DatagramChannel.open();
    private final ByteBuffer frame = ByteBuffer.allocate(65_536);
    private final Map<Long, Integer> announced = new HashMap<>();
    private final int qemuPort;

    public Wire() throws IOException {
        channel.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0));
        channel.configureBlocking(false);
        try (DatagramChannel probe = DatagramChannel.open()) {
            probe.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0));
            qemuPort = ((InetSocketAddress) probe.getLocalAddress()).getPort();
        }
    }

    /** The netdev's option. */
    public String netdev(String id) throws IOException {
        int port = ((InetSocketAddress) channel.getLocalAddress()).getPort();
        return "socket,id=" + id + ",udp=127.0.0.1:" + port + ",localaddr=127.0.0.1:" + qemuPort;
    }

    /** Takes the frames that have come. */
    void take() throws IOException {
        while (true) {
            frame.clear();
            if (channel.receive(frame) == null) {
                return;
            }
            if ((frame.getShort(TYPE) & 0xFFFF) == RARP) {
                announced.merge(frame.getLong(SOURCE) >>> 16, 1, Integer::sum);
            }
        }
    }

    /** Takes the frames that have come, and says how many announced an address; since the last {@link #forget}. */
    public int announced(long mac) throws IOException {
        take();
        return announced.getOrDefault(mac, 0);
    }

    /** Counts from here on. */
    public void forget() throws IOException {
        take();
        announced.clear();
    }

    @Override
    public void close() throws IOException {
        channel.close();
    }
}
