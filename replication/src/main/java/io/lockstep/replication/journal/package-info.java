/** Every epoch that the peer received, in Chronicle Queue, bounded by size and age. */
@NullMarked
package io.lockstep.replication.journal;

import org.jspecify.annotations.NullMarked;
