/**
 * Recorded events: reads files of several forms, told by their content, and feeds them through the merger and the health with their own times, or
 * to a running agent as a drill. Calls the decoders, the sources' contract, the merger and the health.
 */
@NullMarked
package io.lockstep.telemetry.replay;

import org.jspecify.annotations.NullMarked;
