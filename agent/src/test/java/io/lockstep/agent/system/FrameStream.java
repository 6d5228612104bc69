package io.lockstep.agent.system;

import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/**
 * The other end of a netdev that writes its frames to a TCP connection, so that none is lost on the way: a host that asks the guest by ARP and
 * ICMP (RFC 826, RFC 792).
 */
final class FrameStream implements AutoCloseable {
    private static final long OWN_MAC = 0x525400770099L;
    private static final int OWN_ADDRESS = 0x0A090901;
    private static final int GUEST_ADDRESS = 0x0A090902;
    private static final int ARP = 0x0806;
    private static final int IP = 0x0800;
    private static final int ETHERNET_BYTES = 14;
    private static final int IP_BYTES = 20;
    private static final int ICMP_BYTES = 8;
    private static final int ICMP = 1;
    private static final int ECHO = 8;

    private final ServerSocket listener = new ServerSocket(0, 2, InetAddress.getLoopbackAddress());
    private final Map<Integer, Integer> answers = new ConcurrentHashMap<>();
    private volatile boolean known;
    private volatile boolean disordered;
    private volatile DataOutputStream toGuest = new DataOutputStream(DataOutputStream.nullOutputStream());
    private int last = -1;

    FrameStream() throws IOException {
        Thread reader = new Thread(this::read, "frame-stream");
        reader.setDaemon(true);
        reader.start();
    }

    /** The netdev's option. */
    String netdev(String id) {
        return "socket,id=" + id + ",connect=127.0.0.1:" + listener.getLocalPort();
    }

    /** For the guest's command line. */
    String guestOption() {
        return "addr=10.9.9.2";
    }

    /** Whether the guest has answered an ARP request; asks again if not. */
    boolean known() throws IOException {
        if (!known) {
            ByteBuffer frame = ByteBuffer.allocate(ETHERNET_BYTES + 28);
            ethernet(frame, 0xFFFFFFFFFFFFL, ARP);
            frame.putShort((short) 1)
                    .putShort((short) IP)
                    .put((byte) 6)
                    .put((byte) 4)
                    .putShort((short) 1);
            mac(frame, OWN_MAC);
            frame.putInt(OWN_ADDRESS);
            mac(frame, 0);
            frame.putInt(GUEST_ADDRESS);
            send(frame);
        }
        return known;
    }

    /** Asks for an echo of so many bytes. */
    void ping(long guestMac, int sequence, int bytes) throws IOException {
        ByteBuffer frame = ByteBuffer.allocate(ETHERNET_BYTES + IP_BYTES + ICMP_BYTES + bytes);
        ethernet(frame, guestMac, IP);
        frame.put((byte) 0x45).put((byte) 0).putShort((short) (IP_BYTES + ICMP_BYTES + bytes));
        frame.putInt(0).put((byte) 64).put((byte) ICMP).putShort((short) 0);
        frame.putInt(OWN_ADDRESS).putInt(GUEST_ADDRESS);
        frame.putShort(ETHERNET_BYTES + 10, checksum(frame, ETHERNET_BYTES, IP_BYTES));
        int icmp = frame.position();
        frame.put((byte) ECHO)
                .put((byte) 0)
                .putShort((short) 0)
                .putShort((short) 1)
                .putShort((short) sequence);
        frame.putShort(icmp + 2, checksum(frame, icmp, ICMP_BYTES + bytes));
        send(frame);
    }

    /** Echoes that have come. */
    int answers() {
        return answers.size();
    }

    /** Whether an echo came twice, or before one that was asked for earlier. */
    boolean disordered() {
        return disordered;
    }

    private void read() {
        try (Socket socket = listener.accept()) {
            DataInputStream from = new DataInputStream(socket.getInputStream());
            toGuest = new DataOutputStream(socket.getOutputStream());
            while (true) {
                byte[] bytes = new byte[from.readInt()];
                from.readFully(bytes);
                take(ByteBuffer.wrap(bytes));
            }
        } catch (IOException e) {
            // The VM has ended, or this was closed.
        }
    }

    private void take(ByteBuffer frame) {
        int type = frame.getShort(12) & 0xFFFF;
        if (type == ARP && frame.getShort(ETHERNET_BYTES + 6) == 2) {
            known = true;
        } else if (type == IP && frame.get(ETHERNET_BYTES + 9) == ICMP && frame.get(ETHERNET_BYTES + IP_BYTES) == 0) {
            int sequence = frame.getShort(ETHERNET_BYTES + IP_BYTES + 6) & 0xFFFF;
            disordered |= sequence <= last;
            last = sequence;
            answers.put(sequence, frame.limit());
        }
    }

    private void send(ByteBuffer frame) throws IOException {
        byte[] bytes = new byte[frame.capacity()];
        frame.get(0, bytes);
        DataOutputStream to = toGuest;
        to.writeInt(bytes.length);
        to.write(bytes);
        to.flush();
    }

    private static void ethernet(ByteBuffer frame, long to, int type) {
        mac(frame, to);
        mac(frame, OWN_MAC);
        frame.putShort((short) type);
    }

    private static void mac(ByteBuffer frame, long mac) {
        frame.putShort((short) (mac >>> 32)).putInt((int) mac);
    }

    /** RFC 1071. */
    private static short checksum(ByteBuffer frame, int from, int bytes) {
        long sum = 0;
        for (int at = from; at < from + bytes; at += 2) {
            sum += frame.getShort(at) & 0xFFFF;
        }
        while (sum >>> 16 != 0) {
            sum = (sum & 0xFFFF) + (sum >>> 16);
        }
        return (short) ~sum;
    }

    @Override
    public void close() throws IOException {
        listener.close();
    }
}
