package io.lockstep.replication.memory;

import io.lockstep.linux.PageHelper;
import io.lockstep.replication.RamBlock;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeSet;

/** A helper process whose memory is split in two RAM blocks with a gap of one page between them. */
final class WatchedProcess implements AutoCloseable {
    static final int FIRST_PAGES = 100;
    static final int SECOND_PAGES = 923;
    static final int PAGES = FIRST_PAGES + 1 + SECOND_PAGES;

    final PageHelper helper;
    final List<MemoryRegion> regions;
    final PageIndex index;

    WatchedProcess(String kind) throws IOException, InterruptedException {
        helper = new PageHelper();
        helper.map(kind, PAGES, "-");
        regions = List.of(
                new MemoryRegion(new RamBlock(0, "pc.ram", FIRST_PAGES * PageHelper.PAGE, 4096, true), helper.page(0)),
                new MemoryRegion(
                        new RamBlock(1, "vga.vram", SECOND_PAGES * PageHelper.PAGE, 4096, false),
                        helper.page(FIRST_PAGES + 1)));
        index = new PageIndex(regions);
    }

    /** Number, in the helper, of a page by flat index. */
    long helperPage(int flat) {
        return (index.hostAddress(flat) - helper.page(0)) / PageHelper.PAGE;
    }

    /** Flat index of one of the helper's pages. */
    int flat(long page) {
        return index.flatOfAddress(helper.page(0) + page * PageHelper.PAGE);
    }

    /** Collects ranges as the helper's page numbers. */
    List<Long> pages(Scan scan) throws Exception {
        TreeSet<Long> pages = new TreeSet<>();
        scan.run((start, end) -> {
            for (long at = start; at < end; at += PageHelper.PAGE) {
                pages.add((at - helper.page(0)) / PageHelper.PAGE);
            }
        });
        return new ArrayList<>(pages);
    }

    @Override
    public void close() {
        helper.close();
    }

    /** One scan of a tracker. */
    interface Scan {
        void run(DirtyRanges into) throws Exception;
    }
}
