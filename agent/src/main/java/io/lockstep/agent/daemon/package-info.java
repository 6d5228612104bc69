/** The daemon's insides: protections, replicas and standbys of this host, and their life over restarts. Calls replication. */
@NullMarked
package io.lockstep.agent.daemon;

import org.jspecify.annotations.NullMarked;
