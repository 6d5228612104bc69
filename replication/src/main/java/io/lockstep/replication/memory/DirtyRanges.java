package io.lockstep.replication.memory;

/** Takes ranges of written pages; preallocated by its owner, so that a scan allocates nothing. */
public interface DirtyRanges {
    /** Host virtual addresses in the watched process, start inclusive, end exclusive, page-aligned, not overlapping within one scan. */
    void add(long start, long end);
}
