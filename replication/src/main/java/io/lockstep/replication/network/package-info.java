/**
 * Network output commit: what the guest sends is held until the peer has the epoch that it belongs to. Owns the filters in QEMU, the log of
 * held frames and the thread that moves them; calls the hypervisor package and native bindings, and nothing calls QEMU for it but the capture
 * thread.
 */
@org.jspecify.annotations.NullMarked
package io.lockstep.replication.network;
