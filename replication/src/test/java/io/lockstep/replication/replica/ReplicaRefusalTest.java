package io.lockstep.replication.replica;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.lockstep.replication.LockstepException;
import io.lockstep.replication.RamBlock;
import io.lockstep.replication.journal.JournalLimits;
import io.lockstep.replication.link.ControlCodec;
import io.lockstep.replication.link.ControlMessage;
import io.lockstep.replication.link.ControlMessage.LinkError;
import io.lockstep.replication.link.ControlMessage.ScrubMismatch;
import io.lockstep.replication.link.ControlMessage.VerifyResult;
import io.lockstep.replication.link.HostIdentity;
import io.lockstep.replication.link.LinkException;
import io.lockstep.replication.link.MemoryChannel;
import io.lockstep.replication.link.SessionHello;
import io.lockstep.replication.link.SessionReply;
import io.lockstep.replication.pipeline.PageHash;
import io.lockstep.replication.wire.EpochAckDecoder;
import io.lockstep.replication.wire.EpochKind;
import io.lockstep.replication.wire.HelloStatus;
import io.lockstep.replication.wire.MessageHeaderDecoder;
import io.lockstep.replication.wire.MessageHeaderEncoder;
import io.lockstep.replication.wire.VerifyHashesEncoder;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.agrona.ExpandableArrayBuffer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What is refused before anything is touched, and what comparing with the primary finds. */
class ReplicaRefusalTest {
    @TempDir
    Path directory;

    private final SimulatedPrimary primary = new SimulatedPrimary(8, 32, 4);

    private ReplicaStore store(long journalBytesMax) throws Exception {
        ReplicaConfig config = SimulatedPeer.config(
                directory.resolve("state"),
                directory.resolve("memory"),
                new JournalLimits(1 << 20, journalBytesMax, 1));
        return new ReplicaStore(config, "vm", ReplicaMarker.BootId.current(), System::currentTimeMillis);
    }

    @Test
    void shouldRefuseAVmThatIsLargerThanTheMemoryHere() throws Exception {
        SessionHello small = primary.hello(-1, -1);
        RamBlock huge = new RamBlock(0, "pc.ram", 1L << 42, 4096, true);
        SessionHello hello = new SessionHello(
                1,
                1,
                2,
                -1,
                -1,
                0,
                300,
                2_000,
                small.qemuUid(),
                small.qemuGid(),
                List.of(huge),
                List.of(),
                List.of(),
                "vm",
                "0.1",
                "7.2.22",
                "pc-q35-7.2",
                List.of("qemu"),
                "/",
                List.of(),
                HostIdentity.UNKNOWN);
        assertThatThrownBy(() -> store(8 << 20).create(hello, ""))
                .isInstanceOfSatisfying(
                        LockstepException.class, e -> assertThat(e.code()).isEqualTo("peer-shm-too-small"))
                .hasMessageMatching(
                        "Free memory in .*/memory/vm \\d+ < 4398046511104 bytes of the VM's RAM\\. "
                                + "Enlarge it \\(mount -o remount,size=\\.\\.\\. .*/memory\\) or set replica\\.directory on the peer\\.");
        assertThat(directory.resolve("state/vm/meta")).doesNotExist();
    }

    @Test
    void shouldRefuseWhenTheDiskIsTooSmallForTheJournal() {
        assertThatThrownBy(() -> store(1L << 50).create(primary.hello(-1, -1), ""))
                .isInstanceOfSatisfying(
                        LockstepException.class, e -> assertThat(e.code()).isEqualTo("peer-disk-too-small"))
                .hasMessageMatching("Free space in .*/state/vm \\d+ < 1125899906842624 bytes of journal.bytesMax\\. "
                        + "Free space there, or lower journal.bytesMax on the peer\\.");
    }

    @Test
    void shouldRefuseASessionWhenTheMetadataIsDamaged() throws Exception {
        SimulatedPeer peer = new SimulatedPeer(directory);
        peer.connect(primary.hello(-1, -1), MemoryChannel.pair(10, 1_000).right());
        peer.close();
        Path meta = directory.resolve("state/vm/meta");
        byte[] content = Files.readAllBytes(meta);
        content[content.length / 2] ^= 1;
        Files.write(meta, content);
        peer.start();
        SessionReply reply = peer.connect(
                primary.hello(-1, -1), MemoryChannel.pair(10, 1_000).right());
        assertThat(reply.status()).isEqualTo(HelloStatus.REFUSED);
        assertThat(reply.code()).isEqualTo("replica-meta-corrupt");
        assertThat(reply.cause())
                .matches(
                        ".*/state/vm/meta: checksum [0-9a-f]+ != [0-9a-f]+ stored\\. Remove the directory .*/state/vm to "
                                + "copy the VM again\\.");
        peer.close();
    }

    @Test
    void shouldCopyAgainWhenTheMemoryIsGone() throws Exception {
        try (SimulatedPeer peer = new SimulatedPeer(directory)) {
            MemoryChannel.Pair pair = MemoryChannel.pair(1_000, 1_000);
            peer.connect(primary.hello(-1, -1), pair.right());
            primary.send(EpochKind.DELTA, SimulatedPrimary.to(pair.left()));
            peer.takeAll();
            peer.replica.close();
            Files.delete(directory.resolve("memory/vm/block-0.ram"));
            peer.start();
            assertThat(peer.replica.status().state()).isEqualTo(ReplicaState.EMPTY);
            assertThat(peer.connect(
                                    primary.hello(0, 0),
                                    MemoryChannel.pair(10, 1_000).right())
                            .status())
                    .isEqualTo(HelloStatus.FULL);
        }
    }

    @Test
    void shouldNotApplyADamagedEpochAfterARestart() throws Exception {
        try (SimulatedPeer peer = new SimulatedPeer(directory)) {
            MemoryChannel.Pair pair = MemoryChannel.pair(1_000, 1_000);
            peer.connect(primary.hello(-1, -1), pair.right());
            primary.send(EpochKind.DELTA, SimulatedPrimary.to(pair.left()));
            peer.takeAll();
            peer.applier.lazy = true;
            primary.run(400);
            primary.send(EpochKind.DELTA, SimulatedPrimary.to(pair.left()));
            peer.takeAll();
            byte[] before = peer.file(primary.blocks.get(0));
            peer.replica.close();
            damageJournal();
            peer.start();
            assertThat(peer.replica.status().state()).isEqualTo(ReplicaState.EMPTY);
            assertThat(peer.errors)
                    .hasSize(1)
                    .allMatch(error -> error.matches("journal-corrupt: Journal record [0-9a-f]+: checksum [0-9a-f]+ != "
                            + "[0-9a-f]+ stored\\. The epoch is not applied; the VM is copied again\\."));
            assertThat(peer.file(primary.blocks.get(0))).isEqualTo(before);
        }
    }

    private void damageJournal() throws Exception {
        try (var files = Files.list(directory.resolve("state/vm/journal"))) {
            Path file = files.filter(f -> f.toString().endsWith(".cq4"))
                    .sorted()
                    .reduce((a, b) -> b)
                    .orElseThrow();
            byte[] content = Files.readAllBytes(file);
            int last = content.length - 1;
            while (content[last] == 0) {
                last--;
            }
            try (RandomAccessFile writer = new RandomAccessFile(file.toFile(), "rw")) {
                writer.seek(last - 8_000); // before the EpochEnd with its 3,000 bytes of device state, within the pages
                writer.write(content[last - 8_000] ^ 1);
            }
        }
    }

    @Test
    void shouldReportWhatDiffersFromThePrimary() throws Exception {
        try (SimulatedPeer peer = new SimulatedPeer(directory)) {
            MemoryChannel.Pair pair = MemoryChannel.pair(1_000, 1_000);
            peer.connect(primary.hello(-1, -1), pair.right());
            primary.run(300);
            primary.send(EpochKind.DELTA, SimulatedPrimary.to(pair.left()));
            peer.takeAll();
            spoil(0, 5);
            spoil(1, 2);
            verifyAll(pair.left());
            peer.takeAll();
            List<ControlMessage> answers = answers(pair.left());
            assertThat(answers)
                    .filteredOn(VerifyResult.class::isInstance)
                    .singleElement()
                    .isEqualTo(new VerifyResult(
                            1, 36, 2, List.of(new ControlMessage.Page(0, 5), new ControlMessage.Page(1, 2))));
            for (int i = 0; i < 10; i++) {
                primary.send(EpochKind.DELTA, SimulatedPrimary.to(pair.left()));
            }
            peer.takeAll();
            assertThat(answers(pair.left())).hasAtLeastOneElementOfType(ScrubMismatch.class);
            assertThat(peer.replica.status().totals().scrubMismatches()).isPositive();
        }
    }

    private void spoil(int block, int page) throws Exception {
        try (RandomAccessFile file = new RandomAccessFile(
                directory.resolve("memory/vm/block-" + block + ".ram").toFile(), "rw")) {
            file.seek(page * 4096L + 17);
            int old = file.read();
            file.seek(page * 4096L + 17);
            file.write(old ^ 1);
        }
    }

    /** The next epoch, with the hashes of every page before its end. */
    private void verifyAll(MemoryChannel channel) throws Exception {
        primary.send(EpochKind.DELTA, message -> {
            if (message.buffer().getShort(2) == 5) {
                for (RamBlock block : primary.blocks) {
                    ByteBuffer hashes =
                            ByteBuffer.allocate(block.pageCount() * 8).order(ByteOrder.LITTLE_ENDIAN);
                    for (int page = 0; page < block.pageCount(); page++) {
                        hashes.putLong(PageHash.of(ByteBuffer.wrap(primary.memory[block.index()]), page * 4096));
                    }
                    ExpandableArrayBuffer buffer = new ExpandableArrayBuffer();
                    VerifyHashesEncoder verify =
                            new VerifyHashesEncoder().wrapAndApplyHeader(buffer, 0, new MessageHeaderEncoder());
                    verify.epoch(primary.epoch)
                            .block(block.index())
                            .last((short) (block.index() == 1 ? 1 : 0))
                            .firstPage(0)
                            .putHashes(hashes.array(), 0, hashes.capacity());
                    channel.send(buffer, 0, 8 + verify.encodedLength());
                }
            }
            channel.send(message.buffer(), 0, message.length());
        });
    }

    private static List<ControlMessage> answers(MemoryChannel channel) throws Exception {
        List<ControlMessage> answers = new ArrayList<>();
        while (channel.waiting() > 0) {
            channel.receive(
                    (buffer, offset, length) -> {
                        if (new MessageHeaderDecoder().wrap(buffer, offset).templateId()
                                != EpochAckDecoder.TEMPLATE_ID) {
                            answers.add(ControlCodec.decode(buffer, offset, length));
                        }
                    },
                    0);
        }
        return answers;
    }

    @Test
    void shouldSayWhyASessionEnded() throws Exception {
        try (SimulatedPeer peer = new SimulatedPeer(directory)) {
            MemoryChannel.Pair pair = MemoryChannel.pair(1_000, 1_000);
            peer.connect(primary.hello(-1, -1), pair.right());
            primary.send(EpochKind.DELTA, SimulatedPrimary.to(pair.left()));
            primary.epoch += 3;
            primary.send(EpochKind.DELTA, SimulatedPrimary.to(pair.left()));
            peer.takeAll();
            assertThat(peer.errors)
                    .containsExactly("epoch-order: session with sha256:" + "0".repeat(64)
                            + " ended: EpochBegin 4 != 1, the one after the last committed");
            List<ControlMessage> last = new ArrayList<>();
            try {
                while (true) {
                    last.addAll(answers(pair.left()));
                    pair.left().receive((buffer, offset, length) -> {}, 0);
                }
            } catch (LinkException e) {
                assertThat(last)
                        .contains(new LinkError("epoch-order", "EpochBegin 4 != 1, the one after the last committed"));
            }
        }
    }

    @Test
    void shouldTakeTheFenceCommandAtItsExitCode() {
        assertThat(new FenceCommand(List.of("sh", "-c", "echo off $LOCKSTEP_VM"), 10_000).fence("web"))
                .isEqualTo(new Fence.Outcome(true, "fence command exit code 0: off web"));
        assertThat(new FenceCommand(List.of("sh", "-c", "echo no such host; exit 3"), 10_000).fence("web"))
                .isEqualTo(new Fence.Outcome(false, "fence command exit code 3: no such host"));
        assertThat(new FenceCommand(List.of("sleep", "600"), 50).fence("web"))
                .isEqualTo(new Fence.Outcome(false, "fence command took longer than 50 ms and was killed"));
        assertThat(new FenceCommand(List.of("/no/such/command"), 1_000)
                        .fence("web")
                        .detail())
                .startsWith("fence command cannot run: ");
    }
}
