package io.lockstep.agent.system;

import static org.assertj.core.api.Assertions.assertThat;

import io.lockstep.linux.NativeBlock;
import io.lockstep.linux.RemoteMemory;
import io.lockstep.replication.RamBlock;
import io.lockstep.replication.hypervisor.HostRamBlock;
import io.lockstep.replication.hypervisor.QmpConnection;
import io.lockstep.replication.hypervisor.RamBlockFinder;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.security.DigestException;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * What every RAM block of a QEMU holds, a digest a page; the VM stands still.
 *
 * @param digests of each block's pages one after the other, by the block's name
 */
record RamContent(Map<String, byte[]> digests) {
    private static final int CHUNK_PAGES = 256;
    private static final int DIGEST_BYTES = 32;

    static RamContent of(QmpConnection monitor, long pid) throws Exception {
        assertThat(monitor.execute("query-status").path("running").asBoolean()).isFalse();
        Map<String, byte[]> digests = new TreeMap<>();
        for (HostRamBlock block : new RamBlockFinder(monitor, pid).find()) {
            digests.put(block.block().name(), digests(pid, block));
        }
        return new RamContent(digests);
    }

    private static byte[] digests(long pid, HostRamBlock block)
            throws IOException, NoSuchAlgorithmException, DigestException {
        RemoteMemory memory = new RemoteMemory(pid);
        NativeBlock chunk = new NativeBlock(CHUNK_PAGES * RamBlock.PAGE_BYTES);
        MessageDigest sha = MessageDigest.getInstance("SHA-256");
        int pageCount = block.block().pageCount();
        byte[] made = new byte[pageCount * DIGEST_BYTES];
        for (int page = 0; page < pageCount; page++) {
            int at = page % CHUNK_PAGES;
            if (at == 0) {
                int bytes = Math.min(CHUNK_PAGES, pageCount - page) * RamBlock.PAGE_BYTES;
                // SAFETY: no more is read than the chunk has, which lives until the end of this method.
                memory.read(block.hostAddress() + (long) page * RamBlock.PAGE_BYTES, chunk.address(), bytes);
            }
            sha.update(chunk.buffer().slice(at * RamBlock.PAGE_BYTES, RamBlock.PAGE_BYTES));
            sha.digest(made, page * DIGEST_BYTES, DIGEST_BYTES);
        }
        return made;
    }

    /** Number of different pages in a block. */
    long distinctPages(String block) {
        byte[] pages = digests.getOrDefault(block, new byte[0]);
        List<Long> heads = new ArrayList<>();
        for (int at = 0; at < pages.length; at += DIGEST_BYTES) {
            heads.add(ByteBuffer.wrap(pages).getLong(at));
        }
        return heads.stream().distinct().count();
    }

    /** The other QEMU has the same blocks with the same bytes. */
    void assertSame(RamContent other) {
        assertThat(other.digests.keySet()).isEqualTo(digests.keySet());
        digests.forEach((name, pages) -> {
            int at = Arrays.mismatch(pages, other.digests.get(name));
            assertThat(at < 0 ? -1 : at / DIGEST_BYTES)
                    .as("first page of %s that differs", name)
                    .isEqualTo(-1);
        });
    }
}
