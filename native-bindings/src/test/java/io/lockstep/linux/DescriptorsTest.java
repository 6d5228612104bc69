package io.lockstep.linux;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Pipes, sockets, files and mappings of this process. */
@Tag("kernel")
@Timeout(60)
class DescriptorsTest {
    @TempDir
    Path directory;

    @Test
    void shouldTellNothingYetFromEndWhenPipeIsEmpty() throws Exception {
        try (Pipe pipe = new Pipe(4096)) {
            NativeBlock block = new NativeBlock(8192);
            assertThat(pipe.read(block.address(), 8192)).isZero();
            assertThat(Libc.write(pipe.writeFd(), block.address(), 4096)).isEqualTo(4096);
            assertThat(pipe.available()).isEqualTo(4096);
            assertThat(pipe.read(block.address(), 8192)).isEqualTo(4096);
            pipe.closeWrite();
            assertThat(pipe.read(block.address(), 8192)).isEqualTo(-1);
            assertThat(pipe.target()).startsWith("pipe:[");
        }
    }

    @Test
    void shouldReportReadySlotsOnlyWhenPolled() throws Exception {
        try (Pipe quiet = new Pipe(4096);
                Pipe busy = new Pipe(4096)) {
            Poll poll = new Poll(3);
            poll.set(0, quiet.readFd(), Poll.IN);
            poll.set(2, busy.readFd(), Poll.IN);
            assertThat(poll.await(0)).isZero();
            NativeBlock block = new NativeBlock(1);
            assertThat(Libc.write(busy.writeFd(), block.address(), 1)).isEqualTo(1);
            assertThat(poll.await(5_000_000_000L)).isEqualTo(1);
            assertThat(poll.ready(0)).isZero();
            assertThat(poll.ready(2)).isEqualTo(Poll.IN);
            busy.closeWrite();
            assertThat(poll.await(0)).isEqualTo(1);
            assertThat(poll.ready(2)).isEqualTo(Poll.IN | Poll.HUP);
        }
    }

    @Test
    void shouldExchangeBytesWhenConnectedToListener() throws Exception {
        Path path = directory.resolve("listener");
        try (ServerSocketChannel server = ServerSocketChannel.open(StandardProtocolFamily.UNIX)) {
            server.bind(UnixDomainSocketAddress.of(path));
            try (UnixSocket socket = UnixSocket.connect(path.toString());
                    SocketChannel peer = server.accept();
                    Pipe pipe = new Pipe(4096)) {
                ByteBuffer received = ByteBuffer.allocateDirect(64);
                assertThat(socket.receive(received)).isZero();
                socket.sendDescriptor(direct("with a descriptor"), pipe.writeFd(), 1_000_000_000L);
                socket.send(direct(", and without"), 1_000_000_000L);
                ByteBuffer got = ByteBuffer.allocate(30);
                while (got.hasRemaining() && peer.read(got) > 0) {
                    assertThat(got.position()).isPositive();
                }
                assertThat(new String(got.array(), UTF_8)).isEqualTo("with a descriptor, and without");
                peer.write(direct("answer"));
                assertThat(socket.receive(received)).isEqualTo(6);
                peer.shutdownOutput();
                assertThat(socket.receive(received)).isEqualTo(-1);
            }
        }
    }

    @Test
    void shouldNameSocketWhenNobodyListens() {
        assertThatThrownBy(() -> UnixSocket.connect("/nonexistent"))
                .isInstanceOf(LinuxException.class)
                .hasMessage("connect(/nonexistent): ENOENT (2)");
    }

    @Test
    void shouldDeliverDatagramsWhenNameIsAbstractOrPath() throws Exception {
        for (String name : List.of("@lockstep-test-" + ProcessHandle.current().pid(), directory + "/notify")) {
            try (UnixDatagram server = UnixDatagram.bound(name);
                    UnixDatagram client = UnixDatagram.unbound()) {
                assertThat(server.receive()).isEmpty();
                client.send(name, "READY=1\nSTATUS=on");
                client.send(name, "WATCHDOG=1");
                assertThat(server.receive()).isEqualTo("READY=1\nSTATUS=on");
                assertThat(server.receive()).isEqualTo("WATCHDOG=1");
            }
        }
    }

    @Test
    void shouldFindHolesAndDataWhenFileIsPunched() throws Exception {
        Path path = Path.of("/dev/shm/lockstep-test-" + ProcessHandle.current().pid());
        try (FileRange file = FileRange.create(path, 64 * 4096);
                SharedMapping mapping = SharedMapping.open(path, 64 * 4096, true)) {
            NativeBlock block = new NativeBlock(4 * 4096);
            block.buffer().put(0, (byte) 42);
            assertThat(file.nextData(0)).isEqualTo(64 * 4096);
            file.write(block.address(), block.length(), 8 * 4096);
            assertThat(file.nextData(0)).isEqualTo(8 * 4096);
            assertThat(file.nextHole(8 * 4096)).isEqualTo(12 * 4096);
            block.buffer().put(0, (byte) 0);
            assertThat(file.read(block.address(), 4096, 8 * 4096)).isEqualTo(4096);
            assertThat(block.buffer().get(0)).isEqualTo((byte) 42);
            assertThat(file.read(block.address(), 4096, 64 * 4096)).isZero();
            file.punchHole(8 * 4096, 2 * 4096);
            assertThat(file.nextData(0)).isEqualTo(10 * 4096);
            assertThat(file.lengthBytes()).isEqualTo(64 * 4096);
            file.sync();
            mapping.advise(0, 4096, SharedMapping.MADV_RANDOM);
            assertThatThrownBy(() -> mapping.advise(64 * 4096, 4096, SharedMapping.MADV_RANDOM))
                    .hasMessage("offset 262144 + length 4096 > 262144");
        } finally {
            Files.delete(path);
        }
    }

    @Test
    void shouldKeepAffinityAndNiceWhenSetOnOwnThread() throws Exception {
        Throwable[] failure = new Throwable[1];
        int[] nice = new int[1];
        Thread thread = new Thread(() -> {
            try {
                Scheduling.setAffinity(Scheduling.affinity());
                Scheduling.setNice(Scheduling.nice() + 1);
                nice[0] = Scheduling.nice();
            } catch (LinuxException e) {
                failure[0] = e;
            }
        });
        thread.start();
        thread.join();
        assertThat(failure[0]).isNull();
        assertThat(nice[0]).isEqualTo(Scheduling.nice() + 1);
    }

    @Test
    void shouldParseFlagsPageSizesAndBlanksWhenReadingSmaps() {
        List<ProcMaps.Mapping> maps = ProcMaps.parse(List.of(
                "7f0000000000-7f0010000000 rw-s 00001000 00:01 4711                       /dev/shm/a b (deleted)",
                "Size:             262144 kB",
                "KernelPageSize:     2048 kB",
                "Anonymous:             0 kB",
                "VmFlags: rd wr sh mr mw me ms uw sd",
                "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]"));
        assertThat(maps).hasSize(2);
        assertThat(maps.get(0).path()).isEqualTo("/dev/shm/a b (deleted)");
        assertThat(maps.get(0).length()).isEqualTo(256L << 20);
        assertThat(maps.get(0).shared()).isTrue();
        assertThat(maps.get(0).vmFlags()).contains("uw");
        assertThat(maps.get(0).pageBytes()).isEqualTo(2 << 20);
        assertThat(maps.get(0).inode()).isEqualTo(4711);
        assertThat(maps.get(1).path()).isEqualTo("[vsyscall]");
    }

    private static ByteBuffer direct(String text) {
        byte[] bytes = text.getBytes(UTF_8);
        return ByteBuffer.allocateDirect(bytes.length).put(bytes).flip();
    }
}
