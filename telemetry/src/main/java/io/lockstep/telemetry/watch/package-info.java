/** All of it together: the sources are read, the faults merged, the health kept. What the agent holds. */
@NullMarked
package io.lockstep.telemetry.watch;

import org.jspecify.annotations.NullMarked;
