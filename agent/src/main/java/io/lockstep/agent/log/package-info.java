/** Where the agent's log goes. Calls log4j. */
@NullMarked
package io.lockstep.agent.log;

import org.jspecify.annotations.NullMarked;
