/** Temperatures, fans, voltages and network links as events. Calls the sources' contract, the events and OSHI. */
@NullMarked
package io.lockstep.telemetry.sensor;

import org.jspecify.annotations.NullMarked;
