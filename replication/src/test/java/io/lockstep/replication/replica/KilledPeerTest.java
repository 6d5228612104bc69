package io.lockstep.replication.replica;

import static org.assertj.core.api.Assertions.assertThat;

import io.lockstep.replication.RamBlock;
import io.lockstep.replication.link.HelloCodec;
import io.lockstep.replication.link.LinkException;
import io.lockstep.replication.link.SessionReply;
import io.lockstep.replication.wire.EpochAckDecoder;
import io.lockstep.replication.wire.EpochKind;
import io.lockstep.replication.wire.HelloStatus;
import io.lockstep.replication.wire.MessageHeaderDecoder;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** kill -9 of a real peer process while epochs stream in: after each restart the replica is exactly one committed epoch. */
@Tag("system")
class KilledPeerTest {
    private static final int COMPARED_MIN = 50;
    private static final int KILLS_MAX = 150;
    private static final long SEED = Long.getLong("lockstep.seed", 20_261_123L);
    private static final long LIFE_US_MAX = 200_000;

    @TempDir
    Path directory;

    private final SplittableRandom random = new SplittableRandom(SEED);
    private final SimulatedPrimary primary = new SimulatedPrimary(SEED, 400, 64, 5);
    private final NavigableMap<Long, BitSet[]> sent = new TreeMap<>(); // of the epochs that may have to be sent again
    private final Map<Long, Long> hashes = new HashMap<>(); // of the memory at each DELTA epoch
    private final ScheduledExecutorService killer = Executors.newSingleThreadScheduledExecutor();
    private Path memory;
    private Process toKill;
    private long acked = -1;
    private long deltaAcked = -1;
    private long compared;
    private long resumedInMidSync;
    private long tornAt = -1;

    @BeforeEach
    void makeMemory() throws IOException {
        memory = Files.createTempDirectory(Path.of("/dev/shm"), "lockstep-test");
    }

    @AfterEach
    void removeMemory() throws IOException {
        killer.shutdownNow();
        try (Stream<Path> files = Files.walk(memory)) {
            for (Path file : files.sorted(java.util.Comparator.reverseOrder()).toList()) {
                Files.delete(file);
            }
        }
    }

    @Test
    void shouldHoldExactlyOneCommittedEpochWhenKilledAtAnyInstant() throws Exception {
        int kill = 0;
        for (; kill < KILLS_MAX && compared < COMPARED_MIN; kill++) {
            live("seed " + SEED + ", kill " + kill);
        }
        assertThat(deltaAcked).isGreaterThan(kill);
        assertThat(compared).isEqualTo(COMPARED_MIN);
        System.out.printf(
                "%d kills, last epoch %d, %d replicas compared, %d times killed in a SYNC epoch%n",
                kill, primary.epoch, compared, resumedInMidSync);
    }

    /** One life of the peer. */
    private void live(String as) throws Exception {
        Process process = start();
        try {
            StreamChannel channel = new StreamChannel(process.getInputStream(), process.getOutputStream());
            HelloCodec.send(channel, primary.hello(acked, primary.epoch));
            AtomicReference<SessionReply> answer = new AtomicReference<>();
            channel.receive((buffer, offset, length) -> answer.set(HelloCodec.decodeReply(buffer, offset, length)), 0);
            resume(answer.get(), as);
            // Some die while they take up the first epoch, the others at any instant after it.
            if (random.nextInt(5) == 0) {
                killSoon(process);
            } else {
                toKill = process;
            }
            stream(channel);
            assertThat(process.waitFor(30, TimeUnit.SECONDS)).as(as).isTrue();
            assertThat(process.exitValue()).as(as).isEqualTo(128 + 9);
        } finally {
            process.destroyForcibly().waitFor();
        }
    }

    private void killSoon(Process process) {
        toKill = null;
        var unused = killer.schedule(
                process.toHandle()::destroyForcibly, // leaves the pipes open: what was acknowledged counts
                random.nextLong(LIFE_US_MAX),
                TimeUnit.MICROSECONDS);
    }

    private void resume(SessionReply reply, String as) throws IOException {
        if (deltaAcked < 0) {
            assertThat(reply.status()).as(as).isIn(HelloStatus.FULL, HelloStatus.RESUME);
        } else {
            assertThat(reply.status()).as(as + " " + reply).isEqualTo(HelloStatus.RESUME);
        }
        if (reply.status() == HelloStatus.FULL) {
            primary.allDirty();
            sent.clear();
            return;
        }
        long held = reply.committedEpoch();
        assertThat(held).as(as).isBetween(acked, primary.epoch);
        Long expected = hashes.get(held);
        // What of a SYNC epoch was written before a kill stays until the next whole epoch, however often the peer dies
        // before that.
        if (syncsAfter(held)) {
            tornAt = held;
        }
        boolean whole = held > tornAt;
        if (expected != null && whole) {
            assertThat(hash()).as(as + ", epoch " + held).isEqualTo(expected);
            compared++;
        } else {
            resumedInMidSync++;
        }
        for (BitSet[] pages : sent.tailMap(held, false).values()) {
            for (int i = 0; i < pages.length; i++) {
                primary.dirty[i].or(pages[i]);
            }
        }
        primary.epoch = held;
        sent.tailMap(held, false).clear();
    }

    /** Whether pages of a later SYNC epoch may be in the files. */
    private boolean syncsAfter(long epoch) {
        return sent.tailMap(epoch, false).keySet().stream().anyMatch(later -> !hashes.containsKey(later));
    }

    private void stream(StreamChannel channel) {
        try {
            while (true) {
                primary.run(10 + random.nextInt(120));
                EpochKind kind = primary.epoch < 0 || random.nextInt(40) == 0 ? EpochKind.SYNC : EpochKind.DELTA;
                BitSet[] pages = new BitSet[primary.dirty.length];
                for (int i = 0; i < pages.length; i++) {
                    pages[i] = (BitSet) primary.dirty[i].clone();
                }
                long epoch = primary.epoch + 1;
                sent.put(epoch, pages);
                hashes.remove(epoch);
                if (kind == EpochKind.DELTA) {
                    hashes.put(epoch, primary.hash());
                }
                primary.send(kind, SimulatedPrimary.to(channel));
                while (channel.waiting()) {
                    channel.receive(this::onAck, 0);
                    if (toKill != null) {
                        killSoon(toKill);
                    }
                }
            }
        } catch (LinkException e) {
            try {
                while (true) {
                    channel.receive(this::onAck, 0);
                }
            } catch (LinkException end) {
                assertThat(end.kind()).isEqualTo(LinkException.Kind.CLOSED);
            }
        }
    }

    private void onAck(org.agrona.DirectBuffer buffer, int offset, int length) {
        MessageHeaderDecoder header = new MessageHeaderDecoder().wrap(buffer, offset);
        assertThat(header.templateId()).isEqualTo(EpochAckDecoder.TEMPLATE_ID);
        acked = new EpochAckDecoder().wrapAndApplyHeader(buffer, offset, header).epoch();
        if (hashes.containsKey(acked)) {
            deltaAcked = acked;
        }
        sent.headMap(acked, true).clear();
    }

    private long hash() throws IOException {
        long hash = 0;
        for (RamBlock block : primary.blocks) {
            hash = hash * 31
                    + SimulatedPrimary.hash(Files.readAllBytes(ReplicaFiles.path(memory.resolve("vm"), block.index())));
        }
        return hash;
    }

    private Process start() throws IOException {
        List<String> command = new ArrayList<>();
        command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
        for (String argument : ManagementFactory.getRuntimeMXBean().getInputArguments()) {
            if (argument.startsWith("--add-")
                    || argument.startsWith("--enable-native")
                    || argument.startsWith("--sun-misc")) {
                command.add(argument);
            }
        }
        command.addAll(List.of("-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp"));
        command.add(System.getProperty("java.class.path"));
        command.add(KilledPeer.class.getName());
        command.add(directory.resolve("state").toString());
        command.add(memory.toString());
        Path log = directory.resolve("peer.log");
        return new ProcessBuilder(command)
                .redirectError(ProcessBuilder.Redirect.appendTo(log.toFile()))
                .start();
    }
}
