/** Benchmarks: what each step costs, beside the limit that the machine sets. */
@NullMarked
package io.lockstep.perf;

import org.jspecify.annotations.NullMarked;
