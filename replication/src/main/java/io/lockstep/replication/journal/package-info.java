/**
 * Every epoch that the peer received, in Chronicle Queue, bounded by size and age. The journal is the staging area too: an epoch's batches
 * are appended as they come, and its {@code EpochEnd} commits it. Calls no other step.
 */
@NullMarked
package io.lockstep.replication.journal;

import org.jspecify.annotations.NullMarked;
