package io.lockstep.replication.replica;

/** Keeps what a page holds before it changes. It throws nothing: what it cannot keep is its own loss, and the replica's stream goes on. */
@FunctionalInterface
interface BeforeWrite {
    /** The page of this block, or disk, is about to change. */
    void beforeWrite(int block, int page);
}
