/** The primary's side of one protected VM: capture, epochs, sessions with the peer. Calls all the others. */
@NullMarked
package io.lockstep.replication.protection;

import org.jspecify.annotations.NullMarked;
