package io.lockstep.replication.link;

import static org.assertj.core.api.Assertions.assertThat;

import io.lockstep.replication.RamBlock;
import io.lockstep.replication.wire.AckLevel;
import io.lockstep.replication.wire.HelloStatus;
import java.util.List;
import org.agrona.ExpandableArrayBuffer;
import org.junit.jupiter.api.Test;

class HelloCodecTest {
    static final SessionHello HELLO = new SessionHello(
            ProtocolVersion.PROTOCOL_VERSION,
            0x1122334455667788L,
            -2,
            41,
            42,
            300,
            2000,
            64055,
            0xffff_fffeL,
            List.of(
                    new RamBlock(0, "pc.ram", 256L << 20, 4096, true),
                    new RamBlock(1, "0000:00:02.0/vga.vram", 16L << 20, 4096, false),
                    new RamBlock(2, "/rom@etc/acpi/tables", 131072, 4096, false)),
            "vm één",
            "0.1.0",
            "7.2.22",
            "pc-q35-7.2",
            List.of("/usr/bin/qemu-system-x86_64", "-name", "vm één", "", "-m", "256"),
            "/");

    @Test
    void shouldReturnTheSameHelloWhenEncodedAndDecoded() throws Exception {
        ExpandableArrayBuffer buffer = new ExpandableArrayBuffer();
        int length = HelloCodec.encode(HELLO, buffer);
        assertThat(HelloCodec.decodeHello(buffer, 0, length)).isEqualTo(HELLO);
    }

    @Test
    void shouldReturnTheSameReplyWhenEncodedAndDecoded() throws Exception {
        for (HelloStatus status : List.of(HelloStatus.RESUME, HelloStatus.FULL, HelloStatus.REFUSED)) {
            SessionReply reply = new SessionReply(1, status, 7, AckLevel.JOURNAL, "peer-shm-too-small", "why");
            ExpandableArrayBuffer buffer = new ExpandableArrayBuffer();
            int length = HelloCodec.encode(reply, buffer);
            assertThat(HelloCodec.decodeReply(buffer, 0, length)).isEqualTo(reply);
        }
    }
}
