/** What changes at this agent, for whoever follows it: a bounded history that a publisher never waits for. Calls nothing. */
@NullMarked
package io.lockstep.agent.events;

import org.jspecify.annotations.NullMarked;
