/** Starting the agent again when it dies or hangs, and proving to whoever supervises it that it goes on. Calls native-bindings. */
@NullMarked
package io.lockstep.agent.supervisor;

import org.jspecify.annotations.NullMarked;
