/** Page slots on a Disruptor ring: encode in parallel, seal in order. Calls link. */
@NullMarked
package io.lockstep.replication.pipeline;

import org.jspecify.annotations.NullMarked;
