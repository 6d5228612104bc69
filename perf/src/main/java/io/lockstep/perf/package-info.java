/** Benchmarks: what each step costs. */
@NullMarked
package io.lockstep.perf;

import org.jspecify.annotations.NullMarked;
