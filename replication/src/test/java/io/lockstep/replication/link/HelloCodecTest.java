package io.lockstep.replication.link;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.lockstep.replication.LockstepException;
import io.lockstep.replication.RamBlock;
import io.lockstep.replication.ReplicatedDisk;
import io.lockstep.replication.link.LinkException.Kind;
import io.lockstep.replication.wire.AckLevel;
import io.lockstep.replication.wire.HelloDecoder;
import io.lockstep.replication.wire.HelloStatus;
import java.util.List;
import org.agrona.ExpandableArrayBuffer;
import org.junit.jupiter.api.Test;

class HelloCodecTest {
    static final SessionHello HELLO = hello(1, "pc.ram", "vm één", List.of("/usr/bin/qemu", "-name", "één", "", "-S"));

    private final ExpandableArrayBuffer buffer = new ExpandableArrayBuffer();

    static SessionHello hello(int version, String block, String vm, List<String> command) {
        return new SessionHello(
                version,
                0x1122334455667788L,
                -2,
                41,
                42,
                -3,
                300,
                2000,
                64055,
                0xffff_fffeL,
                List.of(
                        new RamBlock(0, block, 256L << 20, 4096, true),
                        new RamBlock(1, "0000:00:02.0/vga.vram", 16L << 20, 4096, false),
                        new RamBlock(2, "/rom@etc/acpi/tables", 131072, 2 << 20, false)),
                List.of(
                        new ReplicatedDisk("virtio0", "/var/lib/vm/root.qcow2", "qcow2", 10L << 30),
                        new ReplicatedDisk("data", "data.raw", "raw", 512)),
                List.of("shared0 (/san/lun 0)"),
                vm,
                "0.1.0",
                "7.2.22",
                "pc-q35-7.2",
                command,
                "/",
                List.of("virtio-rng-pci rng1", "VGA"),
                new HostIdentity("m", "", "p", true));
    }

    private void assertHelloRefused(SessionHello hello, Kind kind, String code, String message) throws Exception {
        int length = HelloCodec.encode(hello, buffer);
        assertThatThrownBy(() -> HelloCodec.decodeHello(buffer, 0, length))
                .isInstanceOfSatisfying(LinkException.class, e -> {
                    assertThat(e.kind()).isEqualTo(kind);
                    assertThat(e.code()).isEqualTo(code);
                    assertThat(e).hasMessage(message);
                });
    }

    @Test
    void shouldReturnTheSameHelloWhenEncodedAndDecoded() throws Exception {
        int length = HelloCodec.encode(HELLO, buffer);
        assertThat(HelloCodec.decodeHello(buffer, 0, length)).isEqualTo(HELLO);
        assertThat(HELLO.ramBytes()).isEqualTo((272L << 20) + 131072);
    }

    @Test
    void shouldReturnTheSameReplyWhenEncodedAndDecoded() throws Exception {
        for (HelloStatus status : List.of(HelloStatus.RESUME, HelloStatus.FULL, HelloStatus.REFUSED)) {
            SessionReply reply = new SessionReply(
                    1, status, 7, AckLevel.JOURNAL, 11_000, 0xfedcba9876543210L, "peer-shm-too-small", "why");
            int length = HelloCodec.encode(reply, buffer);
            assertThat(HelloCodec.decodeReply(buffer, 0, length)).isEqualTo(reply);
        }
    }

    @Test
    void shouldRefuseWhenThePeerSpeaksAnotherVersion() throws Exception {
        assertHelloRefused(
                hello(3, "pc.ram", "vm", List.of()),
                Kind.VERSION,
                "protocol-too-new",
                "peer's protocol version 3 > 2. Upgrade lockstep on this host.");
        assertHelloRefused(
                hello(0, "pc.ram", "vm", List.of()),
                Kind.VERSION,
                "protocol-too-old",
                "peer's protocol version 0 < 1. Upgrade lockstep on the peer.");
    }

    @Test
    void shouldKeepThePeersWordsWhenItRefusesForTheVersionsSake() throws Exception {
        SessionReply reply =
                new SessionReply(3, HelloStatus.REFUSED, -1, AckLevel.MEMORY, 0, 0, "protocol-too-old", "2 < 3");
        int length = HelloCodec.encode(reply, buffer);
        assertThat(HelloCodec.decodeReply(buffer, 0, length)).isEqualTo(reply);
        SessionReply other = new SessionReply(3, HelloStatus.FULL, -1, AckLevel.MEMORY, 0, 0, "", "");
        int otherLength = HelloCodec.encode(other, buffer);
        assertThatThrownBy(() -> HelloCodec.decodeReply(buffer, 0, otherLength))
                .hasMessage("peer's protocol version 3 > 2. Upgrade lockstep on this host.");
    }

    @Test
    void shouldRefuseWhenABlockComesTwiceOrHasNoName() throws Exception {
        assertHelloRefused(
                hello(1, "/rom@etc/acpi/tables", "vm", List.of()),
                Kind.CORRUPT,
                "hello-ram-blocks",
                "RAM block name '/rom@etc/acpi/tables' is empty or comes twice");
        assertHelloRefused(
                hello(1, "", "vm", List.of()),
                Kind.CORRUPT,
                "hello-ram-blocks",
                "RAM block name '' is empty or comes twice");
    }

    @Test
    void shouldUnderstandAHelloOfVersion1WithoutItsMachine() throws Exception {
        int length = HelloCodec.encode(HELLO, buffer);
        // Version 1: without the end of the block and the last four fields: "m", "", "p" and the shared disk with its
        // NUL.
        byte[] bytes = new byte[length];
        buffer.getBytes(0, bytes);
        int block = 8 + HelloDecoder.sameHostForTestingEncodingOffset();
        ExpandableArrayBuffer older = new ExpandableArrayBuffer();
        older.putBytes(0, bytes, 0, block);
        int added = HelloDecoder.BLOCK_LENGTH - HelloDecoder.sameHostForTestingEncodingOffset();
        int rest =
                length - block - added - 4 * 4 - 2 - HELLO.sharedDisks().get(0).length() - 1;
        older.putBytes(block, bytes, block + added, rest);
        older.putShort(0, (short) HelloDecoder.sameHostForTestingEncodingOffset(), java.nio.ByteOrder.LITTLE_ENDIAN);
        older.putShort(6, (short) 1, java.nio.ByteOrder.LITTLE_ENDIAN);

        SessionHello hello = HelloCodec.decodeHello(older, 0, block + rest);
        assertThat(hello.host()).isEqualTo(HostIdentity.UNKNOWN);
        assertThat(hello.imagesId()).isZero();
        assertThat(hello.sharedDisks()).isEmpty();
        assertThat(hello.devices()).isEqualTo(HELLO.devices());
    }

    @Test
    void shouldRefuseWhenThereIsNoBlock() throws Exception {
        SessionHello none = new SessionHello(
                1,
                1,
                1,
                -1,
                -1,
                0,
                1,
                1,
                0,
                0,
                List.of(),
                List.of(),
                List.of(),
                "vm",
                "0.1.0",
                "7.2",
                "pc",
                List.of("q"),
                "/",
                List.of(),
                new HostIdentity("m", "", "p", true));
        assertHelloRefused(none, Kind.CORRUPT, "hello-ram-blocks", "RAM block count 0 not in 1..4096");
    }

    @Test
    void shouldRefuseToSendWhatTheProtocolCannotCarry() {
        assertNotSent(
                hello(1, "pc.ram", "v".repeat(256), List.of()),
                "message-field-too-long",
                "VM name has 256 bytes > 255 that the protocol carries. Shorten it.");
        assertNotSent(
                hello(1, "b".repeat(300), "vm", List.of()),
                "message-field-too-long",
                "RAM block name has 300 bytes > 255 that the protocol carries. Shorten it.");
        String half = "x".repeat(600_000);
        assertNotSent(
                hello(1, "pc.ram", "vm", List.of(half, half)),
                "message-field-too-long",
                "command line has 1200002 bytes > 1048576 that the protocol carries. Shorten it.");
        assertNotSent(
                hello(1, "pc.ram", "vm", List.of("x".repeat(1_048_575))),
                "hello-too-long",
                "Hello of VM vm has 1048953 bytes > 1048576: its command line has 1048576. Shorten it.");
        assertNotSent(
                hello(1, "pc.ram", "vm", List.of("a\0b")), "hello-value", "an element of command line holds a NUL");
    }

    private void assertNotSent(SessionHello hello, String code, String message) {
        assertThatThrownBy(() -> HelloCodec.encode(hello, buffer))
                .isInstanceOfSatisfying(
                        LockstepException.class, e -> assertThat(e.code()).isEqualTo(code))
                .hasMessage(message);
    }

    @Test
    void shouldRefuseAFieldThatIsTooLongWhenThePeerSendsIt() throws Exception {
        int length = HelloCodec.encode(hello(1, "pc.ram", "v".repeat(255), List.of()), buffer);
        byte[] bytes = new byte[length + 1];
        buffer.getBytes(0, bytes, 0, length);
        String text = new String(bytes, java.nio.charset.StandardCharsets.ISO_8859_1);
        int name = text.indexOf("vvvv");
        System.arraycopy(bytes, name, bytes, name + 1, length - name);
        bytes[name - 4] = 0;
        bytes[name - 3] = 1;
        assertThatThrownBy(() -> HelloCodec.decodeHello(new org.agrona.concurrent.UnsafeBuffer(bytes), 0, bytes.length))
                .hasMessage("VM name has 256 bytes > 255");
    }
}
