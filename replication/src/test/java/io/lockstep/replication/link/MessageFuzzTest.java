package io.lockstep.replication.link;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.lockstep.replication.LockstepException;
import io.lockstep.replication.link.ControlMessage.Page;
import io.lockstep.replication.wire.AckLevel;
import io.lockstep.replication.wire.HelloStatus;
import io.lockstep.replication.wire.MessageHeaderDecoder;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.agrona.DirectBuffer;
import org.agrona.ExpandableArrayBuffer;
import org.agrona.concurrent.UnsafeBuffer;
import org.junit.jupiter.api.Test;

class MessageFuzzTest {
    static final List<ControlMessage> CONTROL = List.of(
            new ControlMessage.VmDied(41, "QEMU was killed by signal 9"),
            new ControlMessage.Released(true, "the guest shut down"),
            new ControlMessage.Goodbye("upgrade"),
            new ControlMessage.VerifyResult(7, 65_536, 2, List.of(new Page(0, 17), new Page(65_535, 0xffff_ffffL))),
            new ControlMessage.ScrubMismatch(8, List.of(new Page(3, 1))),
            new ControlMessage.SwitchoverPrepare(9),
            new ControlMessage.SwitchoverReady(9, false, "standby said no"),
            new ControlMessage.SwitchoverCommit(9),
            new ControlMessage.SwitchoverAbort(9, "not ready"),
            new ControlMessage.Promoted(-1, 12_345_678),
            new ControlMessage.LinkError("journal-full", "journal 1 GiB > 1 GiB"));

    /** What each message came to; everything that a dispatcher hands out is read to its end. */
    private static final class Reading implements SessionHandler {
        private final List<Object> seen = new ArrayList<>();

        @Override
        public void onHeartbeat(long sentNs, int health) {
            seen.add(sentNs + " " + health);
        }

        @Override
        public void onHeartbeatReply(long sentNs, boolean standbyReady, int health) {
            seen.add(sentNs + " " + standbyReady + " " + health);
        }

        @Override
        public void onEpochAck(long epoch, long appliedEpoch, long journalBytes, long journalEpochs) {
            seen.add(epoch + " " + appliedEpoch + " " + journalBytes + " " + journalEpochs);
        }

        @Override
        public void onControl(ControlMessage message) {
            seen.add(message);
        }

        @Override
        public void onStream(int templateId, DirectBuffer buffer, int offset, int length) {
            seen.add(templateId);
        }
    }

    /** Keeps what was sent. */
    private static final class Recording implements FrameChannel {
        private final List<UnsafeBuffer> sent = new ArrayList<>();

        @Override
        public void send(DirectBuffer message, int offset, int length) {
            byte[] copy = new byte[length];
            message.getBytes(offset, copy);
            sent.add(new UnsafeBuffer(copy));
        }

        @Override
        public void flush() {}

        @Override
        public boolean receive(FrameHandler handler, long timeoutMs) {
            return false;
        }

        @Override
        public long lastReceivedNs() {
            return 0;
        }

        @Override
        public long sentBytes() {
            return 0;
        }

        @Override
        public String peerFingerprint() {
            return "";
        }

        @Override
        public void close() {}
    }

    private static Recording everyMessage() throws LockstepException {
        Recording channel = new Recording();
        for (ControlMessage message : CONTROL) {
            ControlCodec.send(channel, message);
        }
        LiveSender live = new LiveSender(channel);
        live.heartbeat(123, 3);
        live.heartbeatReply(123, true, ReportedHealth.UNKNOWN);
        live.epochAck(5, 4, 1000, 3);
        UnsafeBuffer batch = TestMessages.batch(3, 100);
        channel.send(batch, 0, batch.capacity());
        HelloCodec.send(channel, HelloCodecTest.HELLO);
        HelloCodec.send(channel, new SessionReply(1, HelloStatus.FULL, -1, AckLevel.MEMORY, 0, 0, "", ""));
        return channel;
    }

    @Test
    void shouldHandOutWhatWasSent() throws Exception {
        Reading reading = new Reading();
        SessionDispatcher dispatcher = new SessionDispatcher(reading);
        List<UnsafeBuffer> sent = everyMessage().sent;
        for (UnsafeBuffer message : sent.subList(0, sent.size() - 2)) {
            dispatcher.onFrame(message, 0, message.capacity());
        }
        List<Object> expected = new ArrayList<>(CONTROL);
        expected.addAll(List.of("123 3", "123 true 255", "5 4 1000 3", 4));
        assertThat(reading.seen).isEqualTo(expected);
    }

    /** A peer of version 1 says nothing of its hardware: its heartbeats are 8 and 9 bytes, and mean what they always meant. */
    @Test
    void shouldTakeHeartbeatsOfTheVersionBeforeAsThoseOfUnknownHealth() throws Exception {
        Reading reading = new Reading();
        SessionDispatcher dispatcher = new SessionDispatcher(reading);
        for (UnsafeBuffer message : everyMessage().sent.subList(CONTROL.size(), CONTROL.size() + 2)) {
            UnsafeBuffer older = new UnsafeBuffer(new byte[message.capacity() - 1]);
            older.putBytes(0, message, 0, older.capacity());
            short body = (short) (older.capacity() - MessageHeaderDecoder.ENCODED_LENGTH);
            older.putShort(MessageHeaderDecoder.blockLengthEncodingOffset(), body, ByteOrder.LITTLE_ENDIAN);
            older.putShort(MessageHeaderDecoder.versionEncodingOffset(), (short) 1, ByteOrder.LITTLE_ENDIAN);
            dispatcher.onFrame(older, 0, older.capacity());
            older.putShort(MessageHeaderDecoder.versionEncodingOffset(), (short) 2, ByteOrder.LITTLE_ENDIAN);
            assertThatThrownBy(() -> dispatcher.onFrame(older, 0, older.capacity()))
                    .hasMessageEndingWith(" block length " + body + " != " + (body + 1));
        }
        assertThat(reading.seen).isEqualTo(List.of("123 255", "123 true 255"));
    }

    @Test
    void shouldRefuseASecondHello() throws Exception {
        UnsafeBuffer hello = everyMessage().sent.get(CONTROL.size() + 4);
        assertThatThrownBy(() -> new SessionDispatcher(new Reading()).onFrame(hello, 0, hello.capacity()))
                .hasMessage("a second Hello or HelloReply in one session");
    }

    @Test
    void shouldRefuseWhatThisSideDoesNotExpect() throws Exception {
        UnsafeBuffer goodbye = everyMessage().sent.get(2);
        assertThatThrownBy(() -> new SessionDispatcher(new SessionHandler() {}).onFrame(goodbye, 0, goodbye.capacity()))
                .isInstanceOfSatisfying(
                        LinkException.class, e -> assertThat(e.code()).isEqualTo("message-unexpected"))
                .hasMessage("Goodbye is not expected here");
    }

    @Test
    void shouldRefuseEveryMessageWhenItIsCutAnywhere() throws Exception {
        for (UnsafeBuffer message : everyMessage().sent) {
            for (int length = 0; length < message.capacity(); length++) {
                UnsafeBuffer cut = new UnsafeBuffer(message, 0, length);
                assertThatThrownBy(() -> decode(cut)).isInstanceOf(LinkException.class);
            }
        }
    }

    @Test
    void shouldDecodeOrRefuseAndNothingElseWhenBytesAreChanged() throws Exception {
        SplittableRandom random = new SplittableRandom(4711);
        List<UnsafeBuffer> messages = everyMessage().sent;
        int refused = 0;
        int cases = 100_000;
        for (int i = 0; i < cases; i++) {
            UnsafeBuffer original = messages.get(random.nextInt(messages.size()));
            byte[] bytes = new byte[original.capacity()];
            original.getBytes(0, bytes);
            int changes = 1 + random.nextInt(4);
            for (int change = 0; change < changes; change++) {
                bytes[random.nextInt(bytes.length)] = (byte) random.nextInt();
            }
            try {
                decode(new UnsafeBuffer(bytes));
            } catch (LinkException e) {
                refused++;
                assertThat(e.code()).isNotEmpty();
            }
        }
        assertThat(refused).isBetween(cases / 10, cases);
    }

    private static void decode(DirectBuffer message) throws LinkException {
        int template = MessageShape.check(message, 0, message.capacity());
        if (template == 1) {
            assertThat(HelloCodec.decodeHello(message, 0, message.capacity())).isNotNull();
        } else if (template == 2) {
            assertThat(HelloCodec.decodeReply(message, 0, message.capacity())).isNotNull();
        } else {
            new SessionDispatcher(new Reading()).onFrame(message, 0, message.capacity());
        }
    }

    @Test
    void shouldCutAReasonBetweenTwoCharactersWhenItIsTooLong() throws Exception {
        ExpandableArrayBuffer buffer = new ExpandableArrayBuffer();
        String tooLong = "é".repeat(40_000) + "!";
        int length = ControlCodec.encode(new ControlMessage.Goodbye(tooLong), buffer);
        assertThat(ControlCodec.decode(buffer, 0, length))
                .isEqualTo(new ControlMessage.Goodbye("é".repeat(MessageText.TEXT_BYTES_MAX / 2)));
        length = ControlCodec.encode(new ControlMessage.Goodbye("x" + tooLong), buffer);
        assertThat(ControlCodec.decode(buffer, 0, length))
                .isEqualTo(new ControlMessage.Goodbye("x" + "é".repeat(MessageText.TEXT_BYTES_MAX / 2 - 1)));
    }
}
