package io.lockstep.replication.replica;

import static org.assertj.core.api.Assertions.assertThat;

import io.lockstep.replication.RamBlock;
import io.lockstep.replication.ReplicatedDisk;
import io.lockstep.replication.link.LinkException;
import io.lockstep.replication.link.LinkException.Kind;
import io.lockstep.replication.link.MemoryChannel;
import io.lockstep.replication.link.SessionReply;
import io.lockstep.replication.wire.EpochKind;
import io.lockstep.replication.wire.HelloStatus;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.SplittableRandom;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * The simulated ring: primary, link and peer in one thread, from a seed. The link is cut after any message, the peer is killed there, with
 * any number of epochs committed and not applied, and one of them applied in part. Half of what the guest writes to its disk is in its memory, too, and
 * refers to that.
 */
class SimulatedKillsTest {
    private static final int KILLS = 60;
    private static final int PAGE_BYTES = RamBlock.PAGE_BYTES;
    private static final int DISK_PAGES = 24;
    private static final int DISK_BYTES = DISK_PAGES * PAGE_BYTES;

    @TempDir
    Path directory;

    private SplittableRandom random;
    private SimulatedPrimary primary;
    private final NavigableMap<Long, Sent> sent = new TreeMap<>();
    private final Map<Long, Long> hashes = new HashMap<>();
    private byte[] disk = new byte[DISK_BYTES];
    private final BitSet diskDirty = new BitSet();
    private long references;

    /** An epoch that may have to be sent again. */
    private static final class Sent {
        final BitSet[] pages;
        final byte[][] memory;
        final BitSet diskPages;
        final byte[] disk;

        Sent(BitSet[] pages, byte[][] memory, BitSet diskPages, byte[] disk) {
            this.pages = pages;
            this.memory = memory;
            this.diskPages = diskPages;
            this.disk = disk;
        }
    }

    @Test
    void shouldNeverHoldATornReplicaWhenThePeerIsKilled() throws Exception {
        for (long seed = 1; seed <= 2; seed++) {
            simulate(seed);
        }
    }

    private void simulate(long seed) throws Exception {
        random = new SplittableRandom(seed);
        primary = new SimulatedPrimary(seed, 64, 8, 3);
        primary.disks = List.of(new ReplicatedDisk("disk", "/disk.raw", "raw", DISK_BYTES));
        disk = new byte[DISK_BYTES];
        diskDirty.clear();
        references = 0;
        sent.clear();
        hashes.clear();
        int compared = 0;
        long baseline = -1;
        SimulatedPeer peer = new SimulatedPeer(directory.resolve("seed-" + seed));
        for (int kill = 0; kill < KILLS; kill++) {
            String as = "seed " + seed + ", kill " + kill;
            MemoryChannel.Pair pair = MemoryChannel.pair(10_000, 1_000);
            long lastAcked = baseline;
            SessionReply reply = peer.connect(primary.hello(lastAcked, primary.epoch), pair.right());
            compared += resume(peer, reply, baseline, as);
            peer.applier.lazy = random.nextInt(3) == 0;
            cutAfter(pair.left(), random.nextInt(120));
            stream(pair.left(), peer);
            ReplicaStatus status = peer.replica.status();
            if (hashes.containsKey(status.committedEpoch()) && status.promotable()) {
                baseline = status.committedEpoch();
            }
            if (peer.applier.lazy && random.nextBoolean()) {
                applyInPart(peer);
            }
            if (random.nextBoolean()) {
                peer.close(); // in order
            } // or as it stands: what was gathered and not written is gone
            SimulatedPeer killed = peer;
            peer = new SimulatedPeer(directory.resolve("seed-" + seed));
            killed.close();
            assertThat(peer.errors).as(as).isEmpty();
        }
        peer.close();
        assertThat(compared).isGreaterThan(KILLS / 2);
        assertThat(references).isGreaterThan(KILLS);
    }

    private int resume(SimulatedPeer peer, SessionReply reply, long baseline, String as) throws IOException {
        if (reply.status() == HelloStatus.FULL) {
            assertThat(baseline).as(as).isEqualTo(-1);
            primary.allDirty();
            diskDirty.set(0, DISK_PAGES);
            sent.clear();
            return 0;
        }
        assertThat(reply.status()).as(as).isEqualTo(HelloStatus.RESUME);
        long held = reply.committedEpoch();
        assertThat(held).as(as).isGreaterThanOrEqualTo(baseline);
        boolean whole = peer.replica.status().promotable();
        if (whole) {
            assertThat(hash(peer.hash(primary.blocks), peer.image(0)))
                    .as(as + ", epoch " + held)
                    .isEqualTo(hashes.get(held));
        }
        for (Sent later : sent.tailMap(held, false).values()) {
            for (int i = 0; i < later.pages.length; i++) {
                primary.dirty[i].or(later.pages[i]);
            }
            diskDirty.or(later.diskPages);
        }
        sent.clear();
        primary.epoch = held;
        return whole ? 1 : 0;
    }

    private void cutAfter(MemoryChannel channel, long messages) {
        channel.failAfterSends(messages);
    }

    private void stream(MemoryChannel channel, SimulatedPeer peer) {
        try {
            while (true) {
                primary.run(20);
                EpochKind kind = random.nextInt(15) == 0 ? EpochKind.SYNC : EpochKind.DELTA;
                long epoch = primary.epoch + 1;
                BitSet[] pages = new BitSet[primary.dirty.length];
                byte[][] memory = new byte[primary.dirty.length][];
                for (int i = 0; i < pages.length; i++) {
                    pages[i] = (BitSet) primary.dirty[i].clone();
                    memory[i] = primary.memory[i].clone();
                }
                writeDisk(kind);
                sent.put(epoch, new Sent(pages, memory, (BitSet) diskDirty.clone(), disk.clone()));
                diskDirty.clear();
                hashes.remove(epoch);
                if (kind == EpochKind.DELTA) {
                    hashes.put(epoch, hash(primary.hash(), disk));
                }
                primary.send(kind, SimulatedPrimary.to(channel));
                if (random.nextInt(4) != 0) {
                    peer.takeAll();
                }
            }
        } catch (LinkException e) {
            assertThat(e.kind()).isEqualTo(Kind.CLOSED);
            if (random.nextBoolean()) {
                peer.takeAll();
            }
        }
    }

    private static long hash(long memory, byte[] disk) {
        return memory * 31 + SimulatedPrimary.hash(disk);
    }

    /** What the last epochs may not have brought to the peer, and what the guest writes now. */
    private void writeDisk(EpochKind kind) {
        primary.diskRecords.clear();
        int block = primary.blocks.size();
        for (int page = diskDirty.nextSetBit(0); page >= 0; page = diskDirty.nextSetBit(page + 1)) {
            primary.diskRecords.add(SimulatedPrimary.record(
                    block, page, Arrays.copyOfRange(disk, page * PAGE_BYTES, (page + 1) * PAGE_BYTES)));
        }
        for (int writes = random.nextInt(8); writes > 0; writes--) {
            int page = random.nextInt(DISK_PAGES);
            int of = random.nextInt(primary.blocks.get(0).pageCount());
            byte[] content = Arrays.copyOfRange(primary.memory[0], of * PAGE_BYTES, (of + 1) * PAGE_BYTES);
            boolean refers = kind == EpochKind.DELTA && random.nextBoolean();
            if (!refers) {
                content[random.nextInt(PAGE_BYTES)]++;
            }
            references += refers ? 1 : 0;
            primary.diskRecords.add(
                    refers
                            ? SimulatedPrimary.reference(block, page, 0, of, content)
                            : SimulatedPrimary.record(block, page, content));
            System.arraycopy(content, 0, disk, page * PAGE_BYTES, PAGE_BYTES);
            diskDirty.set(page);
        }
    }

    /** As a kill in the middle of applying leaves it: the marker says so, and some of the epoch's pages are written. */
    private void applyInPart(SimulatedPeer peer) throws IOException {
        ReplicaStore.Content content = peer.replica.content();
        if (content == null || content.marker().is(ReplicaMarker.SYNCING)) {
            return;
        }
        long next = peer.applier.applier.applied() + 1;
        Sent epoch = sent.get(next);
        if (content.journal().beginIndex(next) < 0 || epoch == null) {
            return;
        }
        content.marker().applying();
        // All of its memory, for a disk's page is written behind it, or some.
        boolean memoryWhole = random.nextBoolean();
        for (RamBlock block : primary.blocks) {
            Path file = content.files().paths().get(block.index());
            writeSome(file, epoch.pages[block.index()], epoch.memory[block.index()], memoryWhole);
        }
        if (memoryWhole) {
            writeSome(content.disks().paths().get(0), epoch.diskPages, epoch.disk, false);
        }
    }

    private void writeSome(Path path, BitSet pages, byte[] content, boolean all) throws IOException {
        try (RandomAccessFile file = new RandomAccessFile(path.toFile(), "rw")) {
            for (int page = pages.nextSetBit(0); page >= 0; page = pages.nextSetBit(page + 1)) {
                if (all || random.nextBoolean()) {
                    file.seek((long) page * PAGE_BYTES);
                    file.write(content, page * PAGE_BYTES, PAGE_BYTES);
                }
            }
        }
    }
}
