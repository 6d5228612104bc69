package io.lockstep.replication.pipeline;

/** Hears of pages that were read whether they were written or not. */
@FunctionalInterface
public interface ComparedPages {
    /**
     * On an encoder's thread, always the same one for the same page; must not wait.
     *
     * @param changed whether it differs from what was last sent of it; false also if that is not kept any more
     */
    void page(int block, int page, boolean changed);
}
