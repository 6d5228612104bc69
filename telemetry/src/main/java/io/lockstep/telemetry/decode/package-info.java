/**
 * From the numbers that hardware gives to {@link io.lockstep.telemetry.event.HardwareEvent}s. Pure functions over tables: no input makes them
 * throw, what they do not know they say in numbers, and they allocate nothing but the event. Calls the events alone.
 */
@NullMarked
package io.lockstep.telemetry.decode;

import org.jspecify.annotations.NullMarked;
