package io.lockstep.perf;

import io.lockstep.replication.RamBlock;
import io.lockstep.replication.link.Identity;
import io.lockstep.replication.link.LinkDialer;
import io.lockstep.replication.link.LinkException;
import io.lockstep.replication.link.LinkListener;
import io.lockstep.replication.link.LinkTimeouts;
import io.lockstep.replication.link.TlsChannel;
import io.lockstep.replication.pipeline.Encoding;
import io.lockstep.replication.pipeline.PageDecoder;
import io.lockstep.replication.pipeline.PageFormatException;
import io.lockstep.replication.pipeline.PagePipeline;
import io.lockstep.replication.pipeline.PageSink;
import io.lockstep.replication.wire.EpochEndDecoder;
import io.lockstep.replication.wire.EpochKind;
import io.lockstep.replication.wire.MessageHeaderDecoder;
import io.lockstep.replication.wire.PageBatchDecoder;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.agrona.DirectBuffer;
import org.agrona.concurrent.UnsafeBuffer;

/**
 * First copies end to end in one process: memory, pipeline, TLS over loopback, decoder, pwrite(2) into a file on tmpfs. Every
 * thread of both sides shares this machine's cores.
 *
 * <p>Arguments: MiB (1024), rounds (5), encoders (2).
 */
public final class FirstCopyBench {
    private final int pages;
    private final int encoders;

    private FirstCopyBench(int pages, int encoders) {
        this.pages = pages;
        this.encoders = encoders;
    }

    /** Runs the mixes and prints a line for each round. */
    public static void main(String[] args) throws Exception {
        int mib = args.length > 0 ? Integer.parseInt(args[0]) : 1024;
        int rounds = args.length > 1 ? Integer.parseInt(args[1]) : 5;
        int encoders = args.length > 2 ? Integer.parseInt(args[2]) : 2;
        // One direct buffer holds the memory.
        FirstCopyBench bench = new FirstCopyBench(Math.min(mib * 256, (Integer.MAX_VALUE >> 12) - 2), encoders);
        bench.run("60% zero, 30% compressible, 10% random", 60, 30, rounds);
        bench.run("100% compressible", 0, 100, rounds);
        bench.run("100% random", 0, 0, rounds);
    }

    private void run(String name, int zeroPercent, int compressiblePercent, int rounds) throws Exception {
        GuestMemory guest = new GuestMemory(pages).mix(17, zeroPercent, compressiblePercent);
        Path directory = Files.createTempDirectory("lockstep-bench");
        Path shm = Files.isDirectory(Path.of("/dev/shm")) ? Path.of("/dev/shm") : directory;
        Path file = Files.createTempFile(shm, "lockstep-bench", ".ram");
        Identity identity = Identity.openOrCreate(directory);
        BlockingQueue<TlsChannel> accepted = new ArrayBlockingQueue<>(1);
        try (LinkListener listener = new LinkListener(
                        new InetSocketAddress(InetAddress.getLoopbackAddress(), 0),
                        identity,
                        () -> Set.of(identity.fingerprint()),
                        LinkTimeouts.DEFAULT,
                        accepted::add);
                TlsChannel primary = new LinkDialer(identity, LinkTimeouts.DEFAULT)
                        .dial(listener.address(), identity.fingerprint());
                PagePipeline pipeline = PipelineBenchmark.start(encoders);
                FileChannel replica = FileChannel.open(file, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
            TlsChannel peer = accepted.poll(5, TimeUnit.SECONDS);
            if (peer == null) {
                throw new IllegalStateException("no connection within 5 s");
            }
            try (peer) {
                pipeline.attach(primary, true, 1_000);
                for (int round = 0; round < rounds; round++) {
                    round(name, guest, pipeline, primary, peer, replica, round);
                }
                same(guest, replica);
            }
        } finally {
            Files.deleteIfExists(file);
            try (var files = Files.list(directory)) {
                for (Path left : files.toList()) {
                    Files.delete(left);
                }
            }
            Files.delete(directory);
        }
    }

    private void round(
            String name,
            GuestMemory guest,
            PagePipeline pipeline,
            TlsChannel primary,
            TlsChannel peer,
            FileChannel replica,
            long epoch)
            throws Exception {
        CountDownLatch applied = new CountDownLatch(1);
        Receiver receiver = new Receiver(replica, pages, epoch, applied);
        Thread thread = new Thread(() -> receiver.receive(peer), "receiver");
        thread.setDaemon(true);
        long sentBytes = primary.sentBytes();
        long[] before = new long[Encoding.COUNT];
        for (Encoding encoding : Encoding.values()) {
            before[encoding.code()] = pipeline.counters().pages(encoding);
        }
        long beganNs = System.nanoTime();
        thread.start();
        FirstCopy.send(pipeline, guest, epoch, EpochKind.SYNC);
        if (!applied.await(120, TimeUnit.SECONDS)) {
            throw new IllegalStateException("epoch " + epoch + " did not arrive within 120 s", pipeline.failure());
        }
        double seconds = (System.nanoTime() - beganNs) / 1e9;
        StringBuilder encodings = new StringBuilder();
        for (Encoding encoding : Encoding.values()) {
            long sent = pipeline.counters().pages(encoding) - before[encoding.code()];
            encodings.append(' ').append(encoding).append(' ').append(sent);
        }
        System.out.printf(
                Locale.ROOT,
                "%-40s %5d MiB %6.3f s %7.0f MB/s, link %5d MB,%s%n",
                name,
                pages / 256,
                seconds,
                pages * 4096.0 / 1e6 / seconds,
                (primary.sentBytes() - sentBytes) / 1_000_000,
                encodings);
    }

    private void same(GuestMemory guest, FileChannel replica) throws IOException {
        ByteBuffer page = ByteBuffer.allocateDirect(GuestMemory.PAGE_BYTES);
        for (int i = 0; i < pages; i++) {
            replica.read(page.clear(), i * 4096L);
            if (page.flip().mismatch(guest.bytes.slice(i * 4096, 4096)) != -1) {
                throw new IllegalStateException("page " + i + " differs");
            }
        }
    }

    /** The peer's receiving thread. */
    private static final class Receiver implements PageSink {
        private final FileChannel file;
        private final PageDecoder decoder;
        private final long lastEpoch;
        private final CountDownLatch applied;
        private final MessageHeaderDecoder header = new MessageHeaderDecoder();
        private final PageBatchDecoder batch = new PageBatchDecoder();
        private final EpochEndDecoder end = new EpochEndDecoder();
        private final UnsafeBuffer pages = new UnsafeBuffer(0, 0);
        private final ByteBuffer zero = ByteBuffer.allocateDirect(GuestMemory.PAGE_BYTES);
        private final boolean fresh;

        Receiver(FileChannel file, int pages, long lastEpoch, CountDownLatch applied) throws IOException {
            this.file = file;
            this.lastEpoch = lastEpoch;
            this.applied = applied;
            this.decoder = new PageDecoder(List.of(new RamBlock(0, "pc.ram", pages * 4096L, 4096, true)));
            this.fresh = lastEpoch == 0;
            if (fresh) {
                file.write(zero.duplicate(), (pages - 1) * 4096L);
            }
        }

        void receive(TlsChannel channel) {
            try {
                while (applied.getCount() > 0) {
                    channel.receive(this::onFrame, 10_000);
                }
            } catch (LinkException e) {
                // The waiting thread times out; this says why.
                throw new IllegalStateException(e);
            }
        }

        private void onFrame(DirectBuffer buffer, int offset, int length) throws LinkException {
            header.wrap(buffer, offset);
            int body = offset + MessageHeaderDecoder.ENCODED_LENGTH;
            if (header.templateId() == PageBatchDecoder.TEMPLATE_ID) {
                batch.wrap(buffer, body, header.blockLength(), header.version());
                int count = (int) batch.pageCount();
                batch.wrapPages(pages);
                try {
                    decoder.apply(pages, 0, pages.capacity(), count, this);
                } catch (PageFormatException | IOException e) {
                    throw new LinkException(LinkException.Kind.CORRUPT, "page-record-malformed", e.toString(), e);
                }
            } else if (header.templateId() == EpochEndDecoder.TEMPLATE_ID) {
                end.wrap(buffer, body, header.blockLength(), header.version());
                if (end.epoch() == lastEpoch) {
                    applied.countDown();
                }
            }
        }

        @Override
        public void read(int block, int page, ByteBuffer into) throws IOException {
            file.read(into, page * 4096L);
        }

        @Override
        public void write(int block, int page, ByteBuffer content) throws IOException {
            file.write(content, page * 4096L);
        }

        @Override
        public void zero(int block, int page) throws IOException {
            // A hole of the new file is zero already; afterwards it must be written.
            if (!fresh) {
                file.write(zero.clear(), page * 4096L);
            }
        }
    }
}
