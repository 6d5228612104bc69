/** The host's hardware: inventory, events and health. Calls native-bindings and OSHI. */
@NullMarked
package io.lockstep.telemetry;

import org.jspecify.annotations.NullMarked;
