package io.lockstep.replication.replica;

import io.lockstep.replication.RamBlock;
import io.lockstep.replication.ReplicatedDisk;
import io.lockstep.replication.pipeline.PageDecoder;
import io.lockstep.replication.pipeline.PageSink;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/** Where the pages of the stream go: those of RAM blocks to the memory files, those behind them to the disks' images. */
record ReplicaPages(ReplicaFiles memory, ReplicaDisks disks) implements PageSink {
    @Override
    public void read(int block, int page, ByteBuffer into) throws IOException {
        int disk = disk(block);
        if (disk < 0) {
            memory.read(block, page, into);
        } else {
            disks.read(disk, page, into);
        }
    }

    @Override
    public void write(int block, int page, ByteBuffer content) throws IOException {
        int disk = disk(block);
        if (disk < 0) {
            memory.write(block, page, content);
        } else {
            disks.write(disk, page, content);
        }
    }

    @Override
    public void zero(int block, int page) throws IOException {
        int disk = disk(block);
        if (disk < 0) {
            memory.zero(block, page);
        } else {
            disks.zero(disk, page);
        }
    }

    /** Writes what is gathered: the files are whole, and others may read them. */
    void flush() throws IOException {
        memory.flush();
        disks.flush();
    }

    /** A decoder of the stream. */
    PageDecoder decoder() {
        IntStream pageCounts = IntStream.concat(
                memory.blocks().stream().mapToInt(RamBlock::pageCount),
                disks.disks().stream().mapToInt(ReplicatedDisk::pageCount));
        return new PageDecoder(memory.blocks().size(), pageCounts.toArray());
    }

    /** The file of each block of the stream. */
    List<Path> paths() {
        return Stream.concat(memory.paths().stream(), disks.paths().stream()).toList();
    }

    private int disk(int block) {
        return block - memory.blocks().size();
    }
}
