/** The bench of the whole: real agents, real guests, beside QEMU's own ways on the same machine in the same run. */
@NullMarked
package io.lockstep.perf.bench;

import org.jspecify.annotations.NullMarked;
