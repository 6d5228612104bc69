package io.lockstep.replication.hypervisor;

/** Takes QEMU's events, on the thread that reads the connection, in order. */
public interface QmpEventListener {
    /** The vCPUs are stopped; disks may still be draining. */
    void stopped(long nowNs);

    /** The vCPUs are about to run. */
    void resumed(long nowNs);

    /** Any other event. */
    void event(QmpEvent event);
}
