/**
 * What follows from the health of this host's hardware: VMs move, pages and processors go out of use, a command runs. Calls the configuration, the
 * events and, of the other modules, what it acts on.
 */
@NullMarked
package io.lockstep.agent.policy;

import org.jspecify.annotations.NullMarked;
