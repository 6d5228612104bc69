/** One fault, one event: what several sources tell of the same fault is put together, and its place named. Calls the events and the inventory. */
@NullMarked
package io.lockstep.telemetry.fault;

import org.jspecify.annotations.NullMarked;
