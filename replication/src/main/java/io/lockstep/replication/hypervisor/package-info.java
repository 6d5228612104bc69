/** The running QEMU, from outside: finding it, QMP, its RAM blocks, the held save, the standby. Calls native-bindings. */
@NullMarked
package io.lockstep.replication.hypervisor;

import org.jspecify.annotations.NullMarked;
