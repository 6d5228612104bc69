package io.lockstep.replication.network;

import static org.assertj.core.api.Assertions.assertThat;

import io.lockstep.linux.Pidfd;
import io.lockstep.linux.UnixSocket;
import io.lockstep.replication.hypervisor.QmpConnection;
import io.lockstep.replication.hypervisor.TestVm;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/**
 * A line whose way changes while QEMU has a frame in part: a real QEMU that takes it from its filter's socket, and a real tap. Only the frames are
 * the test's, so that each can be told from the others.
 */
@Tag("system")
@Timeout(120)
class HeldLineTest {
    private static final int LOG_BYTES = 1 << 19;
    /** What the kernel makes of it, twice as much, has room for a few frames. */
    private static final int SOCKET_BYTES = 3_000;

    private static final int PACKET_BYTES = 1_001;
    private static final int FRAME_BYTES = Integer.BYTES + PACKET_BYTES;
    private static final int TYPE = 0x88B5; // IEEE 802, local experimental
    private static final int NUMBER_AT = 14;
    private static final int SIGSTOP = 19;
    private static final int SIGCONT = 18;

    private final List<byte[]> sent = new ArrayList<>();
    private final List<byte[]> arrived = new ArrayList<>();
    private TapNetwork network;
    private TestVm vm;
    private QmpConnection qmp;
    private Pidfd process;
    private UnixSocket[] guest;
    private OutputLog log;
    private TapOutput tap;
    private HeldLine line;

    @BeforeEach
    void start() throws Exception {
        network = new TapNetwork();
        vm = TestVm.startAs(network.inside(), "-netdev", network.netdev("n0"), "-device", "e1000,netdev=n0");
        network.awaitConnected();
        qmp = vm.connect();
        process = vm.pidfd();
        guest = UnixSocket.pair(LOG_BYTES);
        log = new OutputLog(LOG_BYTES);
        NetDevice device = new NetDevice("n0", "e1000.0", "", "");
        tap = TapOutput.open(qmp, process, device).orElseThrow();
        NetFilter filter = NetFilter.install(qmp, 0, device, SOCKET_BYTES);
        line = new HeldLine(device, new NetFilter("0", guest[1], filter.injected()), log);
    }

    @AfterEach
    void end() throws Exception {
        line.close();
        guest[0].close();
        process.close();
        qmp.close();
        vm.close();
        network.close();
    }

    @Test
    void shouldTakeTheWayPastQemuBehindAFrameThatQemuHadInPart() throws Exception {
        long owed = standStillInMidFrame();
        line.bypass(tap);
        guestSends(20);
        long partly = log.sent();
        line.release(log.tail());
        assertThat(line.drained()).isFalse();
        assertThat(log.sent()).isEqualTo(partly);

        process.sendSignal(SIGCONT);
        until("a QEMU that has what it is owed", () -> {
            line.release(log.tail());
            return line.drained();
        });
        assertThat(log.sent()).isEqualTo(owed);
        qmp.execute("query-status");
        until("what QEMU had", () -> framesArrived() == 20);

        process.sendSignal(SIGSTOP);
        line.leave();
        line.release(log.tail());
        assertThat(line.left()).isTrue();
        assertThat(log.heldBytes()).isZero();
        until("what a QEMU that stands still need not send", () -> framesArrived() == 40);

        line.rejoin();
        process.sendSignal(SIGCONT);
        guestSends(20);
        until("the rest", () -> line.release(log.tail()) && framesArrived() == 60);
        assertArrivedOnceInOrder();
    }

    @Test
    void shouldGoOnInTheMiddleOfAFrameWhenTheVmStaysAfterAll() throws Exception {
        standStillInMidFrame();
        line.bypass(tap);
        guestSends(20);
        long partly = log.sent();
        line.release(log.tail());
        assertThat(line.drained()).isFalse();
        line.rejoin();
        assertThat(line.left()).isTrue();
        line.release(log.tail());
        assertThat(log.sent()).isEqualTo(partly);

        process.sendSignal(SIGCONT);
        until("all frames", () -> line.release(log.tail()) && framesArrived() == 40);
        assertArrivedOnceInOrder();
    }

    @Test
    void shouldSendPastQemuNothingThatIsNotAcknowledged() throws Exception {
        long owed = standStillInMidFrame();
        guestSends(20);
        line.bypass(tap);
        process.sendSignal(SIGCONT);
        until("a QEMU that has what it is owed", () -> {
            line.release(owed);
            return line.drained();
        });
        qmp.execute("query-status");
        line.leave();
        line.release(owed);
        assertThat(line.left()).isFalse();
        guestSends(1);
        line.release(owed + 20 * FRAME_BYTES);
        assertThat(line.left()).isFalse();
        assertThat(log.heldBytes()).isEqualTo(FRAME_BYTES);
        line.release(log.tail());
        assertThat(line.left()).isTrue();
        until("all frames", () -> framesArrived() == 41);
        assertArrivedOnceInOrder();
    }

    private interface Condition {
        boolean holds() throws Exception;
    }

    private static void until(String what, Condition condition) {
        Awaitility.await(what)
                .pollInterval(2, TimeUnit.MILLISECONDS)
                .atMost(10, TimeUnit.SECONDS)
                .until(condition::holds);
    }

    /** QEMU has taken nothing of twenty released frames, and its socket has room for some and a part; the position behind the twenty. */
    private long standStillInMidFrame() throws Exception {
        process.sendSignal(SIGSTOP);
        guestSends(20);
        assertThat(line.release(log.tail())).isTrue();
        assertThat(line.waitsForRoom()).isTrue();
        assertThat(log.sent() % FRAME_BYTES).isPositive();
        return log.tail();
    }

    private void guestSends(int count) throws Exception {
        for (int i = 0; i < count; i++) {
            byte[] packet = new byte[PACKET_BYTES];
            for (int at = 0; at < PACKET_BYTES; at++) {
                packet[at] = (byte) (at * 31 + sent.size());
            }
            // From an address of its own to one that nobody has.
            ByteBuffer.wrap(packet)
                    .putShort((short) 0x0200)
                    .putInt(0x7700_0002)
                    .putShort((short) 0x0200)
                    .putInt(0x7700_0001)
                    .putShort((short) TYPE)
                    .putInt(NUMBER_AT, sent.size());
            sent.add(packet);
            guest[0].send(
                    ByteBuffer.allocateDirect(FRAME_BYTES)
                            .putInt(PACKET_BYTES)
                            .put(packet)
                            .flip(),
                    1_000_000_000L);
        }
        assertThat(line.receive()).isTrue();
        assertThat(log.tail()).isEqualTo((long) sent.size() * FRAME_BYTES);
    }

    private int framesArrived() throws Exception {
        arrived.addAll(network.take(TYPE));
        return arrived.size();
    }

    private void assertArrivedOnceInOrder() {
        assertThat(arrived).containsExactlyElementsOf(sent);
    }
}
