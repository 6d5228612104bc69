package io.lockstep.replication.disk;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.sun.management.ThreadMXBean;
import io.lockstep.replication.DutyCycle;
import io.lockstep.replication.LockstepException;
import io.lockstep.replication.hypervisor.ProcessOwner;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(30)
class NbdServerTest {
    @TempDir
    Path directory;

    private final MemoryExport export = new MemoryExport(1 << 20);

    @Test
    void shouldServeItsUserAloneAndLeaveNothingBehind() throws Exception {
        Path socket = directory.resolve("run/disk.sock");
        try (NbdServer server = new NbdServer(socket, export, null, 4)) {
            assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(socket)))
                    .isEqualTo("rw-------");
            try (var files = Files.list(directory.resolve("run"))) {
                assertThat(files).containsExactly(socket);
            }
            assertThat(server.socket()).isEqualTo(socket);
        }
        assertThat(socket).doesNotExist();
    }

    @Test
    void shouldGiveTheSocketToItsOwner() throws Exception {
        Assumptions.assumeTrue(ProcessOwner.of(ProcessHandle.current().pid()).uid() == 0, "root may give files away");
        Path socket = directory.resolve("disk.sock");
        try (NbdServer server = new NbdServer(socket, export, new ProcessOwner(4711, 4712), 4)) {
            assertThat(Files.getAttribute(server.socket(), "unix:uid")).isEqualTo(4711);
            assertThat(Files.getAttribute(server.socket(), "unix:gid")).isEqualTo(4712);
        }
    }

    @Test
    void shouldReplaceASocketThatAKilledProcessLeft() throws Exception {
        Path socket = Files.createFile(directory.resolve("disk.sock"));
        try (NbdServer server = new NbdServer(socket, export, null, 4);
                NbdTestClient client = NbdTestClient.connected(server.socket(), false)) {
            assertThat(client.channel.isConnected()).isTrue();
        }
    }

    @Test
    void shouldSayWhyWhenTheSocketCannotBeHad() {
        Path socket = directory.resolve("x".repeat(110));
        assertThatThrownBy(() -> new NbdServer(socket, export, null, 4).close())
                .isInstanceOf(LockstepException.class)
                .hasMessage("cannot listen on " + socket
                        + ": the path is longer than 107 bytes. Choose a shorter --root, or free its file system.");
    }

    @Test
    void shouldServeSeveralClientsAndRefuseTooMany() throws Exception {
        try (NbdServer server = new NbdServer(directory.resolve("disk.sock"), export, null, 2);
                NbdTestClient first = NbdTestClient.connected(server.socket(), false)) {
            NbdTestClient second = NbdTestClient.connected(server.socket(), true);
            assertThat(server.connections()).isEqualTo(2);
            try (NbdTestClient third = new NbdTestClient(server.socket())) {
                assertThat(third.ended()).isTrue();
            }
            first.request(0, 1, 1, 0, 3, new byte[] {1, 2, 3});
            assertThat(first.simpleReply()).isEqualTo("1: 0");
            second.request(0, 0, 2, 0, 3);
            assertThat(second.receive(31).slice(28, 3)).isEqualTo(ByteBuffer.wrap(new byte[] {1, 2, 3}));
            second.close();
            Awaitility.await().until(() -> server.connections() == 1);
            try (NbdTestClient fourth = NbdTestClient.connected(server.socket(), false)) {
                assertThat(fourth.channel.isConnected()).isTrue();
            }
        }
    }

    @Test
    void shouldEndAllConnectionsWhenClosed() throws Exception {
        NbdServer server = new NbdServer(directory.resolve("disk.sock"), export, null, 4);
        try (NbdTestClient waiting = new NbdTestClient(server.socket());
                NbdTestClient connected = NbdTestClient.connected(server.socket(), false)) {
            waiting.receive(18);
            server.close();
            assertThat(waiting.ended()).isTrue();
            assertThat(connected.ended()).isTrue();
            assertThat(server.connections()).isZero();
            server.close();
        }
    }

    @Test
    void shouldInterruptAnExportThatWaitsWhenClosed() throws Exception {
        CountDownLatch waiting = new CountDownLatch(1);
        CountDownLatch interrupted = new CountDownLatch(1);
        NbdExport slow = new WaitingExport(waiting, interrupted);
        NbdServer server = new NbdServer(directory.resolve("disk.sock"), slow, null, 4);
        try (NbdTestClient client = NbdTestClient.connected(server.socket(), false)) {
            client.request(0, 3, 1, 0, 0);
            assertThat(waiting.await(10, TimeUnit.SECONDS)).isTrue();
            server.close();
            assertThat(interrupted.getCount()).isZero();
            assertThat(server.connections()).isZero();
            assertThat(client.ended()).isTrue();
        }
    }

    @Test
    void shouldCountARequestThatTakesLong() throws Exception {
        CountDownLatch waiting = new CountDownLatch(1);
        NbdExport slow = new WaitingExport(waiting, new CountDownLatch(1));
        DutyCycle rounds = DutyCycle.idle();
        NbdServer server = new NbdServer(directory.resolve("disk.sock"), slow, null, 4, rounds);
        try (NbdTestClient client = NbdTestClient.connected(server.socket(), false)) {
            client.request(0, 3, 1, 0, 0);
            assertThat(waiting.await(10, TimeUnit.SECONDS)).isTrue();
            long calledNs = System.nanoTime();
            Awaitility.await().until(() -> System.nanoTime() - calledNs > DutyCycle.STALL_NS);
            long before = rounds.stalls();
            server.close();
            assertThat(rounds.stalls()).isEqualTo(before + 1);
            assertThat(rounds.stalledNs()).isGreaterThan(DutyCycle.STALL_NS);
        }
    }

    @Test
    void shouldAllocateNothingForARequest() throws Exception {
        export.recording = false;
        try (NbdServer server = new NbdServer(directory.resolve("disk.sock"), export, null, 4);
                NbdTestClient client = NbdTestClient.connected(server.socket(), true)) {
            byte[] content = new byte[4096];
            for (int i = 0; i < 3000; i++) {
                roundTrip(client, content);
            }
            ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
            long id = Thread.getAllStackTraces().keySet().stream()
                    .filter(thread -> thread.getName().equals("nbd-disk0"))
                    .findFirst()
                    .orElseThrow()
                    .getId();
            long before = threads.getThreadAllocatedBytes(id);
            int rounds = 1000;
            for (int i = 0; i < rounds; i++) {
                roundTrip(client, content);
            }
            // What the JDK's channels take by chance is far below one object of 16 bytes a request.
            assertThat(threads.getThreadAllocatedBytes(id) - before).isLessThan(2L * rounds * 16);
        }
    }

    private static void roundTrip(NbdTestClient client, byte[] content) throws Exception {
        client.request(0, 1, 1, 4096, content.length, content);
        client.receive(20);
        client.request(0, 0, 2, 4096, content.length);
        client.receive(28 + content.length);
    }

    /** A flush waits until it is interrupted. */
    private record WaitingExport(CountDownLatch waiting, CountDownLatch interrupted) implements NbdExport {
        @Override
        public String name() {
            return "disk0";
        }

        @Override
        public long sizeBytes() {
            return 4096;
        }

        @Override
        public boolean readOnly() {
            return false;
        }

        @Override
        public void read(long offset, ByteBuffer into) {
            into.position(into.limit());
        }

        @Override
        public void write(long offset, ByteBuffer data, boolean fua) {
            data.position(data.limit());
        }

        @Override
        public void writeZeroes(long offset, long length, boolean mayTrim, boolean fua) throws NbdException {
            throw new NbdException(NbdException.ENOTSUP, "not here");
        }

        @Override
        public void trim(long offset, long length, boolean fua) throws NbdException {
            throw new NbdException(NbdException.ENOTSUP, "not here");
        }

        @Override
        public void flush() throws NbdException {
            waiting.countDown();
            try {
                new CountDownLatch(1).await();
            } catch (InterruptedException e) {
                interrupted.countDown();
                throw new NbdException(NbdException.ESHUTDOWN, "the server closes", e);
            }
        }
    }
}
