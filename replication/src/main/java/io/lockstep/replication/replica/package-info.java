/** The peer's side: receive, verify, journal, acknowledge, apply, promote. Calls journal, link and hypervisor. */
@NullMarked
package io.lockstep.replication.replica;

import org.jspecify.annotations.NullMarked;
