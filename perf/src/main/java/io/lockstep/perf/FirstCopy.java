package io.lockstep.perf;

import io.lockstep.replication.pipeline.PageCodec;
import io.lockstep.replication.pipeline.PagePipeline;
import io.lockstep.replication.pipeline.PipelineException;
import io.lockstep.replication.wire.EpochKind;
import io.lockstep.replication.wire.RunState;
import org.agrona.UnsafeApi;

/** The capture's part of a first copy: pages into slots, in chunks. */
final class FirstCopy {
    /** 256 pages, 1 MiB, at once: as one process_vm_readv(2) would. */
    private static final int CHUNK_PAGES = 256;

    private FirstCopy() {}

    static void send(PagePipeline pipeline, GuestMemory guest, long epoch, EpochKind kind) throws PipelineException {
        pipeline.epochBegin(epoch, kind, epoch);
        int page = 0;
        while (page < guest.pages) {
            int n = Math.min(CHUNK_PAGES, guest.pages - page);
            long first = pipeline.claim(n);
            for (int i = 0; i < n; ) {
                int run = Math.min(n - i, pipeline.contiguous(first + i));
                // SAFETY: run slots from this one on lie one behind the other in the arena, run pages in the guest's
                // memory.
                UnsafeApi.copyMemory(
                        guest.page(page + i), pipeline.address(first + i), (long) run * GuestMemory.PAGE_BYTES);
                i += run;
            }
            for (int i = 0; i < n; i++) {
                pipeline.describe(first + i, 0, page + i, PageCodec.FLAG_PASSING);
            }
            pipeline.publish(first, first + n - 1);
            page += n;
        }
        pipeline.epochEnd(epoch, kind, RunState.RUNNING, epoch, 0, 0);
    }
}
