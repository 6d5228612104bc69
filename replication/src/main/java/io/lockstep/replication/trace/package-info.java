/**
 * What an epoch takes, step by step, for whoever records this JVM with Flight Recorder beside its collections, safepoints and locks. Calls
 * nothing of ours; everybody may call it.
 */
@NullMarked
package io.lockstep.replication.trace;

import org.jspecify.annotations.NullMarked;
