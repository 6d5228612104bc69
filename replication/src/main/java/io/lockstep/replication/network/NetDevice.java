package io.lockstep.replication.network;

/**
 * A way out of the VM: what a NIC of it is connected to.
 *
 * @param name as QEMU's filters know it: the netdev's id, or the port of a hub
 * @param nic the NIC, as QEMU names it
 * @param obstacle why frames cannot be held on it; empty if they can
 * @param cure the launch option that removes the obstacle; empty if there is none
 */
public record NetDevice(String name, String nic, String obstacle, String cure) {
    /** Whether its frames can be held, as far as can be seen from outside. */
    public boolean holdable() {
        return obstacle.isEmpty();
    }

    NetDevice refused(String why, String whatHelps) {
        return new NetDevice(name, nic, why, whatHelps);
    }
}
