/**
 * The kernel's tracepoints: an instance of our own in tracefs, its ring pages in binary, and what each event says. Calls the decoders, the sources'
 * contract and {@code io.lockstep.linux}.
 */
@NullMarked
package io.lockstep.telemetry.trace;

import org.jspecify.annotations.NullMarked;
