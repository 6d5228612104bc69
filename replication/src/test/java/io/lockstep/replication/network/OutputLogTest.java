package io.lockstep.replication.network;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.sun.management.ThreadMXBean;
import io.lockstep.linux.NativeBlock;
import io.lockstep.linux.UnixSocket;
import java.io.ByteArrayOutputStream;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Frames in and out of the log over real sockets. */
@Timeout(60)
class OutputLogTest {
    private static final int LOG_BYTES = 1 << 19;
    private static final int SOCKET_BYTES = 1 << 20;

    private final OutputLog log = new OutputLog(LOG_BYTES);
    private UnixSocket[] in;
    private UnixSocket[] out;

    @BeforeEach
    void connect() throws Exception {
        in = UnixSocket.pair(SOCKET_BYTES);
        out = UnixSocket.pair(SOCKET_BYTES);
    }

    @AfterEach
    void close() {
        for (UnixSocket socket : List.of(in[0], in[1], out[0], out[1])) {
            socket.close();
        }
    }

    private static byte[] frame(int bytes, int fill) {
        byte[] frame = new byte[4 + bytes];
        Arrays.fill(frame, (byte) fill);
        ByteBuffer.wrap(frame).putInt(bytes);
        return frame;
    }

    private void write(byte[] bytes) throws Exception {
        ByteBuffer direct = ByteBuffer.allocateDirect(bytes.length).put(bytes).flip();
        in[0].send(direct, 5_000_000_000L);
    }

    private byte[] read() throws Exception {
        ByteArrayOutputStream all = new ByteArrayOutputStream();
        NativeBlock block = new NativeBlock(1 << 16);
        for (int n = out[1].receive(block.address(), block.length());
                n > 0;
                n = out[1].receive(block.address(), block.length())) {
            byte[] part = new byte[n];
            block.buffer().get(0, part);
            all.writeBytes(part);
        }
        return all.toByteArray();
    }

    @Test
    void shouldSendOnExactlyWhatLiesBeforeThePositionWhenReleased() throws Exception {
        write(frame(60, 1));
        log.receive(in[1]);
        long first = log.tail();
        write(frame(1_514, 2));
        log.receive(in[1]);
        assertThat(log.send(out[0], first)).isTrue();
        assertThat(read()).isEqualTo(frame(60, 1));
        assertThat(log.heldBytes()).isEqualTo(4 + 1_514);
        assertThat(log.send(out[0], log.tail())).isTrue();
        assertThat(read()).isEqualTo(frame(1_514, 2));
        assertThat(log.frames()).isEqualTo(2);
        assertThat(log.heldBytes()).isZero();
    }

    /** All frames of an epoch leave in one system call, or two where they go round the ring's end. */
    @Test
    void shouldReleaseAnEpochsFramesInAtMostTwoCalls() throws Exception {
        SplittableRandom random = new SplittableRandom(5);
        int ofTwo = 0;
        for (int epoch = 0; epoch < 100; epoch++) {
            for (int i = 0; i < 50; i++) {
                write(frame(60 + random.nextInt(1_455), i));
                log.receive(in[1]);
            }
            long before = log.sendCalls();
            assertThat(log.send(out[0], log.tail())).isTrue();
            assertThat(log.heldBytes()).isZero();
            assertThat(log.sendCalls() - before).isBetween(1L, 2L);
            ofTwo += log.sendCalls() - before == 2 ? 1 : 0;
            read();
        }
        assertThat(log.frames()).isEqualTo(100 * 50);
        assertThat(ofTwo).isPositive();
    }

    @Test
    void shouldNotCountAFrameWhenItIsThereInPart() throws Exception {
        byte[] frame = frame(100, 7);
        for (int i = 0; i < frame.length - 1; i++) {
            write(new byte[] {frame[i]});
            assertThat(log.receive(in[1])).isEqualTo(1);
            assertThat(log.tail()).isZero();
        }
        write(new byte[] {frame[frame.length - 1]});
        log.receive(in[1]);
        assertThat(log.tail()).isEqualTo(frame.length);
        log.send(out[0], log.tail());
        assertThat(read()).isEqualTo(frame);
    }

    @Test
    void shouldKeepOrderAndContentWhenFramesOfAllSizesGoRoundTheRing() throws Exception {
        SplittableRandom random = new SplittableRandom(11);
        ByteArrayOutputStream sent = new ByteArrayOutputStream();
        ByteArrayOutputStream received = new ByteArrayOutputStream();
        for (int round = 0; round < 400; round++) {
            for (int i = random.nextInt(4); i >= 0; i--) {
                int bytes = random.nextInt(20) == 0 ? OutputLog.PACKET_BYTES_MAX : 1 + random.nextInt(9_000);
                byte[] frame = frame(bytes, random.nextInt());
                write(frame);
                sent.writeBytes(frame);
                log.receive(in[1]);
                if (log.filling()) {
                    log.send(out[0], log.tail());
                    received.writeBytes(read());
                }
            }
            long until = log.sent() + (log.heldBytes() == 0 ? 0 : random.nextLong(log.heldBytes() + 1));
            log.send(out[0], until);
            received.writeBytes(read());
        }
        log.send(out[0], log.tail());
        received.writeBytes(read());
        assertThat(log.dropped()).isZero();
        assertThat(received.toByteArray()).isEqualTo(sent.toByteArray());
    }

    @Test
    void shouldDropWholeFramesAndGoOnWhenThereIsNoRoom() throws Exception {
        List<byte[]> frames = new ArrayList<>();
        for (int i = 0; i < 100; i++) {
            frames.add(frame(20_000 + i, i));
            write(frames.get(i));
            log.receive(in[1]);
        }
        assertThat(log.filling()).isTrue();
        assertThat(log.frames() + log.dropped()).isEqualTo(100);
        assertThat(log.dropped()).isPositive();
        int kept = (int) log.frames();
        log.send(out[0], log.tail());
        ByteArrayOutputStream expected = new ByteArrayOutputStream();
        frames.subList(0, kept).forEach(expected::writeBytes);
        assertThat(read()).isEqualTo(expected.toByteArray());
        write(frame(500, 9));
        log.receive(in[1]);
        log.send(out[0], log.tail());
        assertThat(read()).isEqualTo(frame(500, 9));
    }

    @Test
    void shouldSendTheRestLaterWhenQemuTakesNoMore() throws Exception {
        UnixSocket[] narrow = UnixSocket.pair(4096);
        byte[] frame = frame(OutputLog.PACKET_BYTES_MAX, 3);
        write(frame);
        log.receive(in[1]);
        ByteArrayOutputStream received = new ByteArrayOutputStream();
        NativeBlock block = new NativeBlock(4096);
        assertThat(log.send(narrow[0], log.tail())).isTrue();
        assertThat(log.heldBytes()).isPositive();
        while (received.size() < frame.length) {
            int n = narrow[1].receive(block.address(), block.length());
            byte[] part = new byte[Math.max(n, 0)];
            block.buffer().get(0, part);
            received.writeBytes(part);
            assertThat(log.send(narrow[0], log.tail())).isTrue();
        }
        assertThat(received.toByteArray()).isEqualTo(frame);
        narrow[1].close();
        write(frame(60, 1));
        log.receive(in[1]);
        assertThat(log.send(narrow[0], log.tail())).isFalse();
        narrow[0].close();
    }

    @Test
    void shouldRefuseWhatIsNoFrame() throws Exception {
        write(new byte[] {0x7f, 0, 0, 0});
        assertThatThrownBy(() -> log.receive(in[1]))
                .hasMessage("frame length 2130706432 from QEMU's filter is not in 1..69632");
    }

    @Test
    void shouldSayThatQemuHasClosed() throws Exception {
        in[0].close();
        assertThat(log.receive(in[1])).isEqualTo(-1);
    }

    @Test
    void shouldAllocateNothingPerFrame() throws Exception {
        ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        ByteBuffer direct = ByteBuffer.allocateDirect(1_518).put(frame(1_514, 5));
        NativeBlock sink = new NativeBlock(1 << 16);
        long least = Long.MAX_VALUE;
        for (int round = 0; round < 20; round++) {
            long before = threads.getCurrentThreadAllocatedBytes();
            for (int i = 0; i < 2_000; i++) {
                in[0].send(direct.position(0), 1_000_000_000L);
                log.receive(in[1]);
                log.send(out[0], log.tail());
                out[1].receive(sink.address(), sink.length());
            }
            least = Math.min(least, threads.getCurrentThreadAllocatedBytes() - before);
        }
        // The frames come through UnixSocket.send, which makes a JNA pointer; nothing else may.
        assertThat(least / 2_000).isLessThan(200);
    }
}
