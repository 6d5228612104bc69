package io.lockstep.replication.disk;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(30)
class NbdHandshakeTest {
    /** HAS_FLAGS, SEND_FLUSH, SEND_FUA, SEND_TRIM, SEND_WRITE_ZEROES, SEND_DF, CAN_MULTI_CONN, SEND_FAST_ZERO. */
    private static final int WRITABLE_FLAGS = 0x9ed;

    @TempDir
    Path directory;

    private final MemoryExport export = new MemoryExport(1 << 20);
    private NbdServer server;

    @BeforeEach
    void listen() throws Exception {
        server = new NbdServer(directory.resolve("disk.sock"), export, null, 4);
    }

    @AfterEach
    void close() {
        server.close();
    }

    @Test
    void shouldGreetInFixedNewstyleWithoutZeroes() throws Exception {
        try (NbdTestClient client = new NbdTestClient(server.socket())) {
            ByteBuffer greeting = client.receive(18);
            assertThat(greeting.getLong()).isEqualTo(0x4e42444d41474943L);
            assertThat(greeting.getLong()).isEqualTo(0x49484156454F5054L);
            assertThat(greeting.getShort()).isEqualTo((short) 3);
        }
    }

    @Test
    void shouldSendSizeAndFlagsWhenTheOldOptionNamesTheExport() throws Exception {
        try (NbdTestClient client = NbdTestClient.greeted(server.socket())) {
            client.option(1, "disk0".getBytes(StandardCharsets.UTF_8));
            ByteBuffer reply = client.receive(10);
            assertThat(reply.getLong()).isEqualTo(1 << 20);
            assertThat(reply.getShort()).isEqualTo((short) WRITABLE_FLAGS);
            client.request(0, 3, 7, 0, 0);
            assertThat(client.simpleReply()).isEqualTo("7: 0");
        }
    }

    @Test
    void shouldSendZeroesWhenAnOldClientDoesNotDeclineThem() throws Exception {
        try (NbdTestClient client = new NbdTestClient(server.socket())) {
            client.receive(18);
            client.send(ByteBuffer.allocate(4));
            client.option(1);
            ByteBuffer reply = client.receive(10 + 124);
            reply.position(10);
            assertThat(reply).isEqualTo(ByteBuffer.allocate(124));
            client.request(0, 3, 8, 0, 0);
            assertThat(client.simpleReply()).isEqualTo("8: 0");
        }
    }

    @Test
    void shouldEndWhenTheOldOptionNamesAnotherExport() throws Exception {
        try (NbdTestClient client = NbdTestClient.greeted(server.socket())) {
            client.option(1, "disk1".getBytes(StandardCharsets.UTF_8));
            assertThat(client.ended()).isTrue();
        }
    }

    @Test
    void shouldTellSizeFlagsAndBlockSizesWhenAsked() throws Exception {
        try (NbdTestClient client = NbdTestClient.greeted(server.socket())) {
            // INFO leaves the client free to ask on; unknown information types are left out.
            for (int option : new int[] {6, 7}) {
                client.option(option, NbdTestClient.goData("disk0", 3, 77));
                ByteBuffer replies = client.receive(20 + 12 + 20 + 14 + 20);
                assertThat(replies.getLong(0)).isEqualTo(0x3e889045565a9L);
                assertThat(replies.getInt(8)).isEqualTo(option);
                assertThat(replies.getInt(12)).isEqualTo(3);
                assertThat(replies.getInt(16)).isEqualTo(12);
                assertThat(replies.getShort(20)).isEqualTo((short) 0);
                assertThat(replies.getLong(22)).isEqualTo(1 << 20);
                assertThat(replies.getShort(30)).isEqualTo((short) WRITABLE_FLAGS);
                assertThat(replies.getShort(52)).isEqualTo((short) 3);
                assertThat(replies.getInt(54)).isEqualTo(1);
                assertThat(replies.getInt(58)).isEqualTo(4096);
                assertThat(replies.getInt(62)).isEqualTo(32 << 20);
                assertThat(replies.getInt(78)).isEqualTo(1);
            }
            client.request(0, 3, 9, 0, 0);
            assertThat(client.simpleReply()).isEqualTo("9: 0");
        }
    }

    @Test
    void shouldOfferNoChangesWhenReadOnly() throws Exception {
        export.readOnly = true;
        try (NbdTestClient client = NbdTestClient.greeted(server.socket())) {
            client.option(6, NbdTestClient.goData(""));
            assertThat(client.receive(86).getShort(30)).isEqualTo((short) 0x18f);
        }
    }

    @Test
    void shouldListTheExport() throws Exception {
        try (NbdTestClient client = NbdTestClient.greeted(server.socket())) {
            client.option(3);
            ByteBuffer reply = client.receive(20 + 9 + 20);
            assertThat(reply.getInt(12)).isEqualTo(2);
            assertThat(StandardCharsets.UTF_8.decode(reply.slice(24, 5)).toString())
                    .isEqualTo("disk0");
            assertThat(reply.getInt(29 + 12)).isEqualTo(1);
        }
    }

    @Test
    void shouldRefuseOptionsThatItCannotServeAndGoOn() throws Exception {
        try (NbdTestClient client = NbdTestClient.greeted(server.socket())) {
            client.option(5);
            assertThat(client.optionReply()).isEqualTo("5 error 1: option 5 is not supported");
            client.option(-1, new byte[4000]);
            assertThat(client.optionReply()).isEqualTo("-1 error 1: option 4294967295 is not supported");
            client.option(7, NbdTestClient.goData("disk1"));
            assertThat(client.optionReply()).isEqualTo("7 error 6: no export has the name 'disk1'");
            client.option(3, (byte) 1);
            assertThat(client.optionReply()).isEqualTo("3 error 3: option 3 has data: 1 bytes");
            client.option(8, (byte) 1);
            assertThat(client.optionReply()).isEqualTo("8 error 3: option 8 has data: 1 bytes");
            client.option(99, new byte[60_000]);
            assertThat(client.optionReply()).isEqualTo("99 error 9: option 99 has 60000 bytes of data > 4352");
            client.option(8);
            assertThat(client.optionReply()).isEqualTo("8 reply 1: 0 bytes");
            client.option(2);
            assertThat(client.optionReply()).isEqualTo("2 reply 1: 0 bytes");
            assertThat(client.ended()).isTrue();
        }
    }

    @Test
    void shouldRefuseNamesAndListsThatDoNotFitTheirLength() throws Exception {
        byte[][] malformed = {
            {},
            {0, 0, 0, 0, 0},
            {0, 0, 0, 1, 0, 0},
            {(byte) 0xff, (byte) 0xff, (byte) 0xff, (byte) 0xff, 0, 0},
            {0x7f, (byte) 0xff, (byte) 0xff, (byte) 0xff, 0, 0},
            {0, 0, 0, 0, 0, 1},
            {0, 0, 0, 0, (byte) 0xff, (byte) 0xff, 0, 0},
            {0, 0, 0, 0, 0, 0, 0},
        };
        try (NbdTestClient client = NbdTestClient.greeted(server.socket())) {
            for (byte[] data : malformed) {
                client.option(7, data);
                assertThat(client.optionReply())
                        .isEqualTo(
                                "7 error 3: option 7 has a name or a list that does not fit its length " + data.length);
            }
        }
    }

    @Test
    void shouldListAndSetTheContextThatItHas() throws Exception {
        try (NbdTestClient client = NbdTestClient.greeted(server.socket())) {
            client.option(10, NbdTestClient.metaData("disk0", "base:allocation"));
            assertThat(client.optionReply()).isEqualTo("10 error 3: option 10 needs structured replies first");
            client.option(8);
            assertThat(client.optionReply()).isEqualTo("8 reply 1: 0 bytes");
            for (String[] queries : new String[][] {{}, {"base:"}, {"qemu:dirty", "base:allocation"}}) {
                client.option(9, NbdTestClient.metaData("disk0", queries));
                assertThat(client.optionReply()).isEqualTo("9 reply 4: 19 bytes");
                assertThat(client.optionReply()).isEqualTo("9 reply 1: 0 bytes");
            }
            for (String[] queries : new String[][] {{}, {"base:"}, {"base:allocation2"}, {""}}) {
                client.option(10, NbdTestClient.metaData("disk0", queries));
                assertThat(client.optionReply()).isEqualTo("10 reply 1: 0 bytes");
            }
            client.option(10, NbdTestClient.metaData("", "base:allocation"));
            assertThat(client.optionReply()).isEqualTo("10 reply 4: 19 bytes");
            assertThat(client.optionReply()).isEqualTo("10 reply 1: 0 bytes");
            client.option(10, NbdTestClient.metaData("disk1", "base:allocation"));
            assertThat(client.optionReply()).isEqualTo("10 error 6: no export has the name 'disk1'");
            byte[] endless = NbdTestClient.metaData("disk0");
            endless[endless.length - 4] = (byte) 0xff;
            client.option(10, endless);
            assertThat(client.optionReply())
                    .isEqualTo("10 error 3: option 10 has strings that do not fit its length 13");
        }
    }

    @Test
    void shouldEndWhenAnOptionIsMalformed() throws Exception {
        assertEnds(
                ByteBuffer.allocate(16).putLong(0x49484156454F5055L).putInt(3).putInt(0));
        assertEnds(
                ByteBuffer.allocate(16).putLong(0x49484156454F5054L).putInt(3).putInt(-1));
        assertEnds(
                ByteBuffer.allocate(16).putLong(0x49484156454F5054L).putInt(3).putInt(65_537));
    }

    @Test
    void shouldEndWhenClientFlagsAreUnknownOrNotFixed() throws Exception {
        try (NbdTestClient client = new NbdTestClient(server.socket())) {
            client.receive(18);
            client.send(ByteBuffer.allocate(4).putInt(4));
            assertThat(client.ended()).isTrue();
        }
        try (NbdTestClient client = new NbdTestClient(server.socket())) {
            client.receive(18);
            client.send(ByteBuffer.allocate(4));
            client.option(3);
            assertThat(client.ended()).isTrue();
        }
    }

    private void assertEnds(ByteBuffer message) throws IOException {
        try (NbdTestClient client = NbdTestClient.greeted(server.socket())) {
            client.send(message);
            assertThat(client.ended()).isTrue();
        }
    }
}
