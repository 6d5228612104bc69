package io.lockstep.replication.protection;

import io.lockstep.replication.LockstepException;

/** QEMU's process ended. */
final class VmGoneException extends LockstepException {
    VmGoneException() {
        super("vm-gone", "QEMU's process ended");
    }
}
