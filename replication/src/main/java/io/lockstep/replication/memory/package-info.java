/** The guest's memory: what was written since the last epoch, and its content. Calls native-bindings. */
@NullMarked
package io.lockstep.replication.memory;

import org.jspecify.annotations.NullMarked;
