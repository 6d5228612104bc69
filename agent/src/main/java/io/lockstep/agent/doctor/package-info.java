/** What this host lacks to protect VMs, and the cure. Calls native-bindings and replication. */
@NullMarked
package io.lockstep.agent.doctor;

import org.jspecify.annotations.NullMarked;
