/**
 * The baseboard management controller's event log: it sees mirrors, power supplies and fans where the processor does not. Calls the sources'
 * contract, the events and {@code io.lockstep.linux}.
 */
@NullMarked
package io.lockstep.telemetry.bmc;

import org.jspecify.annotations.NullMarked;
