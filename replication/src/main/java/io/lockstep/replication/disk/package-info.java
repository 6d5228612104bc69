/**
 * The disks of a VM: an NBD server for QEMU to write its copy to, and what can stand behind it. Owns sockets, connections and their memory;
 * calls native-bindings, and the hypervisor package for who owns a socket.
 */
@org.jspecify.annotations.NullMarked
package io.lockstep.replication.disk;
