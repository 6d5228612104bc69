/** What the host is made of, through OSHI. Slow: for a thread of its own. What the host does not tell is absent, never made up. */
@NullMarked
package io.lockstep.telemetry.inventory;

import org.jspecify.annotations.NullMarked;
