/** How each part of the host fares, by what happened to it. Calls the events alone. */
@NullMarked
package io.lockstep.telemetry.health;

import org.jspecify.annotations.NullMarked;
