/** The names that every step of replication shares: identities, epochs and RAM blocks. */
@NullMarked
package io.lockstep.replication;

import org.jspecify.annotations.NullMarked;
