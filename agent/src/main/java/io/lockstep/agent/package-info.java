/** The daemon, its configuration, policy, management socket and command line. */
@NullMarked
package io.lockstep.agent;

import org.jspecify.annotations.NullMarked;
