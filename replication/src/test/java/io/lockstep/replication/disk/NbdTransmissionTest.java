package io.lockstep.replication.disk;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(30)
class NbdTransmissionTest {
    private static final int MIB = 1 << 20;
    private static final int READ = 0;
    private static final int WRITE = 1;
    private static final int FLUSH = 3;
    private static final int TRIM = 4;
    private static final int WRITE_ZEROES = 6;
    private static final int BLOCK_STATUS = 7;

    @TempDir
    Path directory;

    private final MemoryExport export = new MemoryExport(40 * MIB);
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
    void shouldReadWhatWasWrittenAtAnyPlaceAndLength() throws Exception {
        Random random = new Random(5);
        try (NbdTestClient plain = NbdTestClient.connected(server.socket(), false);
                NbdTestClient structured = NbdTestClient.connected(server.socket(), true)) {
            for (int length : new int[] {1, 511, 4096, MIB, MIB + 1, 3 * MIB - 7, 32 * MIB}) {
                byte[] content = new byte[length];
                random.nextBytes(content);
                int offset = random.nextInt(export.content.length - length + 1);
                plain.request(0, WRITE, 1, offset, length, content);
                assertThat(plain.simpleReply()).isEqualTo("1: 0");
                plain.request(0, READ, 2, offset, length);
                assertThat(plain.simpleReply()).isEqualTo("2: 0");
                assertThat(plain.receive(length)).isEqualTo(ByteBuffer.wrap(content));
                structured.request(0, READ, 3, offset, length);
                for (int done = 0; done < length; ) {
                    int piece = Math.min(MIB, length - done);
                    ByteBuffer head = structured.receive(28);
                    assertThat(head.getInt(0)).isEqualTo(0x668e33ef);
                    assertThat(head.getShort(4)).isEqualTo((short) (done + piece == length ? 1 : 0));
                    assertThat(head.getShort(6)).isEqualTo((short) 1);
                    assertThat(head.getInt(16)).isEqualTo(8 + piece);
                    assertThat(head.getLong(20)).isEqualTo(offset + done);
                    assertThat(structured.receive(piece)).isEqualTo(ByteBuffer.wrap(content, done, piece));
                    done += piece;
                }
            }
        }
    }

    @Test
    void shouldPassFlagsOn() throws Exception {
        try (NbdTestClient client = NbdTestClient.connected(server.socket(), true)) {
            client.request(1, WRITE, 1, 8192, 4096, new byte[4096]);
            client.request(1, WRITE, 2, 0, 2 * MIB, new byte[2 * MIB]);
            client.request(0, WRITE_ZEROES, 3, 1, 40 * MIB - 1);
            client.request(3, WRITE_ZEROES, 4, 4096, 4096);
            client.request(0, TRIM, 5, 4096, 8192);
            client.request(1, TRIM, 6, 0, 4096);
            client.request(0, FLUSH, 7, 0, 0);
            for (int cookie = 1; cookie <= 7; cookie++) {
                assertThat(client.chunk()).isEqualTo(cookie + ": done nothing");
            }
            assertThat(export.calls())
                    .containsExactly(
                            "write 8192 4096 fua",
                            "write 0 1048576",
                            "write 1048576 1048576",
                            "flush",
                            "zeroes 1 41943039 trim",
                            "zeroes 4096 4096 fua",
                            "trim 4096 8192",
                            "trim 0 4096 fua",
                            "flush");
        }
    }

    @Test
    void shouldRefuseWhatLiesOutsideWithoutOverflow() throws Exception {
        long[][] outside = {
            {40 * MIB, 1}, {40 * MIB - 1, 2}, {Long.MAX_VALUE, 1}, {Long.MIN_VALUE, 4096}, {-1, 1}, {-4096, 8192}
        };
        try (NbdTestClient client = NbdTestClient.connected(server.socket(), false)) {
            for (long[] range : outside) {
                client.request(0, READ, 1, range[0], range[1]);
                assertThat(client.simpleReply()).isEqualTo("1: 22");
                client.request(0, WRITE, 2, range[0], range[1], new byte[(int) range[1]]);
                assertThat(client.simpleReply()).isEqualTo("2: 28");
                client.request(0, TRIM, 3, range[0], range[1]);
                assertThat(client.simpleReply()).isEqualTo("3: 22");
                client.request(0, WRITE_ZEROES, 4, range[0], range[1]);
                assertThat(client.simpleReply()).isEqualTo("4: 28");
            }
            client.request(0, WRITE_ZEROES, 5, 0, 0xffffffffL);
            assertThat(client.simpleReply()).isEqualTo("5: 28");
            assertThat(export.calls()).isEmpty();
        }
    }

    @Test
    void shouldSayWhyWhenRepliesAreStructured() throws Exception {
        export.failsAt = 3 * MIB + 5;
        try (NbdTestClient client = NbdTestClient.connected(server.socket(), true)) {
            client.request(0, READ, 1, 40 * MIB, 1);
            assertThat(client.chunk())
                    .isEqualTo("1: done error 22 offset 41943040 + length 1 > export of 41943040 bytes");
            client.request(0, READ, 2, 2 * MIB, 4 * MIB);
            assertThat(client.chunk()).isEqualTo("2: data at 2097152, 1048576 bytes");
            assertThat(client.chunk()).isEqualTo("2: done error 5 bad sector at 3145733 at 3145728");
            client.request(0, WRITE, 3, 2 * MIB, 4 * MIB, new byte[4 * MIB]);
            assertThat(client.chunk()).isEqualTo("3: done error 5 bad sector at 3145733");
            client.request(0, READ, 4, 0, 32 * MIB + 1);
            assertThat(client.chunk()).isEqualTo("4: done error 22 read of 33554433 bytes > 33554432");
            client.request(4, READ, 5, 0, MIB);
            assertThat(client.chunk()).isEqualTo("5: done data at 0, 1048576 bytes");
            client.request(4, READ, 6, 0, MIB + 1);
            assertThat(client.chunk()).isEqualTo("6: done error 75 unfragmented read of 1048577 bytes > 1048576");
            client.request(0, 5, 7, 0, 4096);
            assertThat(client.chunk()).isEqualTo("7: done error 22 command 5 is not supported");
            client.request(0, 7, 8, 0, 4096);
            assertThat(client.chunk()).isEqualTo("8: done error 22 block status without the context base:allocation");
            client.request(0, FLUSH, 9, 0, 4096);
            assertThat(client.chunk()).isEqualTo("9: done error 22 flush of a range: offset 0, length 4096");
            client.request(0x11, WRITE, 10, 0, 512, new byte[512]);
            assertThat(client.chunk()).isEqualTo("10: done error 22 command 1 has no flags 0x10");
            export.bug = new IllegalStateException("broken");
            client.request(0, READ, 11, 0, 1);
            assertThat(client.chunk())
                    .isEqualTo("11: done error 5 unexpected: java.lang.IllegalStateException: broken at 0");
        }
    }

    @Test
    void shouldFailSimplyAndGoOnWhenRepliesAreSimple() throws Exception {
        export.failsAt = 100;
        try (NbdTestClient client = NbdTestClient.connected(server.socket(), false)) {
            client.request(0, READ, 1, 0, 4096);
            assertThat(client.simpleReply()).isEqualTo("1: 5");
            client.request(4, READ, 2, 4096, 4096);
            assertThat(client.simpleReply()).isEqualTo("2: 22");
            client.request(0, READ, 3, 4096, 0);
            assertThat(client.simpleReply()).isEqualTo("3: 0");
            client.request(0, WRITE, 4, 4096, 0);
            assertThat(client.simpleReply()).isEqualTo("4: 0");
        }
    }

    @Test
    void shouldEndRatherThanLieWhenASimpleReadFailsBehindItsBeginning() throws Exception {
        export.failsAt = MIB + 3;
        try (NbdTestClient client = NbdTestClient.connected(server.socket(), false)) {
            client.request(0, READ, 1, 0, 2 * MIB);
            assertThat(client.simpleReply()).isEqualTo("1: 0");
            client.receive(MIB);
            assertThat(client.ended()).isTrue();
        }
    }

    @Test
    void shouldRefuseChangesWhenReadOnly() throws Exception {
        export.readOnly = true;
        try (NbdTestClient client = NbdTestClient.connected(server.socket(), true)) {
            client.request(0, WRITE, 1, 0, 2 * MIB, new byte[2 * MIB]);
            client.request(0, TRIM, 2, 0, 1);
            client.request(0, WRITE_ZEROES, 3, 0, 1);
            for (int cookie = 1; cookie <= 3; cookie++) {
                assertThat(client.chunk()).isEqualTo(cookie + ": done error 1 the export is read-only");
            }
            client.request(0, FLUSH, 4, 0, 0);
            assertThat(client.chunk()).isEqualTo("4: done nothing");
            assertThat(export.calls()).containsExactly("flush");
        }
    }

    @Test
    void shouldZeroFastOnlyWhereItIsFast() throws Exception {
        try (NbdTestClient client = NbdTestClient.connected(server.socket(), true)) {
            client.request(16, WRITE_ZEROES, 1, 0, 4096);
            assertThat(client.chunk()).isEqualTo("1: done error 95 zeroes are no quicker than writing here");
            export.zeroesFast = true;
            client.request(16, WRITE_ZEROES, 2, 0, 4096);
            assertThat(client.chunk()).isEqualTo("2: done nothing");
            client.request(18, WRITE_ZEROES, 3, 0, 4096);
            assertThat(client.chunk()).isEqualTo("3: done error 95 zeroes are no quicker than writing here");
            assertThat(export.calls()).containsExactly("zeroes 0 4096 trim");
        }
    }

    @Test
    void shouldTellWhatIsAHoleWhenTheContextWasSet() throws Exception {
        export.extentBytes = 4096;
        try (NbdTestClient client = NbdTestClient.greeted(server.socket())) {
            client.option(8);
            client.receive(20);
            client.option(10, NbdTestClient.metaData("disk0", "base:allocation"));
            client.receive(20 + 19 + 20);
            client.option(7, NbdTestClient.goData("disk0"));
            client.receive(86);
            client.request(0, BLOCK_STATUS, 1, 1024, 12_000);
            assertThat(client.chunk()).isEqualTo("1: done context 1, 3072 data, 4096 hole, 4096 data, 736 hole");
            client.request(8, BLOCK_STATUS, 2, 1024, 12_000);
            assertThat(client.chunk()).isEqualTo("2: done context 1, 3072 data");
            // The answer is bounded, and says what it knows.
            client.request(0, BLOCK_STATUS, 3, 0, 40 * MIB);
            assertThat(client.chunk().split(", ")).hasSize(1 + 256);
            client.request(0, BLOCK_STATUS, 4, 40 * MIB, 1);
            assertThat(client.chunk())
                    .isEqualTo("4: done error 22 offset 41943040 + length 1 > export of 41943040 bytes");
            client.request(0, BLOCK_STATUS, 5, 0, 0);
            assertThat(client.chunk()).isEqualTo("5: done error 22 block status of nothing");
            export.extentBytes = 0;
            client.request(0, BLOCK_STATUS, 6, 5, 7);
            assertThat(client.chunk()).isEqualTo("6: done context 1, 7 data");
        }
    }

    @Test
    void shouldEndWhenARequestIsMalformedTooLongOrCutOff() throws Exception {
        try (NbdTestClient client = NbdTestClient.connected(server.socket(), false)) {
            client.send(ByteBuffer.allocate(28).putInt(0x25609514));
            assertThat(client.ended()).isTrue();
        }
        try (NbdTestClient client = NbdTestClient.connected(server.socket(), false)) {
            client.request(0, WRITE, 1, 0, 32 * MIB + 1);
            assertThat(client.ended()).isTrue();
        }
        try (NbdTestClient client = NbdTestClient.connected(server.socket(), false)) {
            client.request(0, WRITE, 1, 0, 4096, new byte[4095]);
            client.channel.shutdownOutput();
            assertThat(client.ended()).isTrue();
        }
        try (NbdTestClient client = NbdTestClient.connected(server.socket(), false)) {
            client.request(0, 2, 1, 0, 0);
            assertThat(client.ended()).isTrue();
        }
        assertThat(export.calls()).isEmpty();
    }
}
