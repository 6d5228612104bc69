package io.lockstep.replication.hypervisor;

import io.lockstep.linux.Errno;
import io.lockstep.linux.LinuxException;
import io.lockstep.linux.NativeBlock;
import io.lockstep.linux.ProcMaps;
import io.lockstep.linux.RemoteMemory;
import io.lockstep.replication.LockstepException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/**
 * QEMU's own record of its RAM blocks, read from its heap. It is looked for by content, not by place, and believed only if everything in
 * it that we know is right: {@code struct RAMBlock} of {@code include/exec/ramblock.h}, unchanged from 2.10 to 7.2.
 *
 * <pre>
 *   host (8) | colo_cache (8) | offset (8) | used_length (8) | max_length (8) | resized (8) | flags (4) | idstr (256)
 * </pre>
 */
final class RamBlockTable {
    private static final int HOST = 0;
    private static final int OFFSET = 16;
    private static final int USED = 24;
    private static final int MAX = 32;
    private static final int NAME = 52;
    private static final int NAME_BYTES_MAX = 256;
    /** QEMU's heap is a few MB; this bounds a process that is not what we think. */
    private static final long HEAP_BYTES_MAX = 256L * 1024 * 1024;

    private static final int PIECE_BYTES = 4 * 1024 * 1024;

    private final long pid;
    private final List<ByteBuffer> heap = new ArrayList<>();

    RamBlockTable(long pid) {
        this.pid = pid;
    }

    /**
     * The block's host address, which must be one of the candidates.
     *
     * @throws LockstepException {@code ram-block-ambiguous} if QEMU's heap does not tell
     */
    long address(RamBlockFinder.Listed block, Set<Long> candidates) throws LockstepException {
        if (heap.isEmpty()) {
            readHeap();
        }
        byte[] name = (block.name() + "\0").getBytes(StandardCharsets.UTF_8);
        long found = 0;
        for (ByteBuffer piece : heap) {
            // malloc aligns the struct to 16 and the fields are longs, so the record starts at a multiple of 8.
            for (int i = 0; i + NAME + NAME_BYTES_MAX <= piece.capacity(); i += 8) {
                if (piece.getLong(i + OFFSET) == block.offset()
                        && piece.getLong(i + USED) == block.used()
                        && piece.getLong(i + MAX) == block.total()
                        && hasName(piece, i + NAME, name)
                        && candidates.contains(piece.getLong(i + HOST))) {
                    found = piece.getLong(i + HOST);
                }
            }
        }
        if (found == 0) {
            throw new LockstepException(
                    "ram-block-ambiguous",
                    "Which of " + candidates.size() + " mappings of " + block.total() + " bytes is RAM block "
                            + block.name() + " in QEMU (pid " + pid
                            + ") cannot be told. Upgrade to QEMU 8 or newer, which tells the addresses.");
        }
        return found;
    }

    private static boolean hasName(ByteBuffer piece, int at, byte[] name) {
        for (int i = 0; i < name.length; i++) {
            if (piece.get(at + i) != name[i]) {
                return false;
            }
        }
        return true;
    }

    private void readHeap() throws LockstepException {
        RemoteMemory memory = new RemoteMemory(pid);
        long total = 0;
        try {
            for (ProcMaps.Mapping m : ProcMaps.of(pid)) {
                if (!m.path().equals("[heap]")) {
                    continue;
                }
                // Pieces overlap, so that no record lies across two.
                long step = PIECE_BYTES - NAME - NAME_BYTES_MAX - 8;
                step -= step % 8;
                for (long at = m.start(); at < m.end() && total < HEAP_BYTES_MAX; at += step) {
                    int length = (int) Math.min(PIECE_BYTES, m.end() - at);
                    NativeBlock piece = new NativeBlock(length);
                    heap.add(piece.buffer());
                    total += length;
                    if (!read(memory, at, piece)) {
                        break;
                    }
                }
            }
        } catch (LinuxException e) {
            throw new LockstepException(
                    "ram-no-privilege",
                    "Cannot read the memory of QEMU (pid " + pid + "): " + e.getMessage()
                            + ". Run the agent as root or with CAP_SYS_PTRACE.",
                    e);
        } catch (IOException e) {
            throw new LockstepException("vm-died", "QEMU (pid " + pid + ") has gone: " + e.getMessage() + ".", e);
        }
    }

    /** False if the heap shrank meanwhile; what was still there has been read. */
    private static boolean read(RemoteMemory memory, long address, NativeBlock into) throws LinuxException {
        try {
            // SAFETY: the block is as long as what is read and held until the read has returned.
            memory.read(address, into.address(), into.length());
            return true;
        } catch (LinuxException e) {
            if (e.errno() != Errno.EFAULT) {
                throw e;
            }
            return false;
        }
    }
}
