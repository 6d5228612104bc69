package io.lockstep.replication.hypervisor;

import io.lockstep.linux.ProcessIdentity;
import java.nio.file.Path;
import java.util.List;

/**
 * A QEMU that runs on this host, as {@code /proc} shows it.
 *
 * @param identity pid and start time
 * @param name of {@code -name}, or empty
 * @param commandLine as it was started, the program first
 * @param uid effective user id
 * @param gid effective group id
 * @param workingDirectory against which the paths of its command line are read
 * @param memory of {@code -m} as written, or empty for QEMU's default
 * @param qmpSockets absolute paths of its QMP sockets, in the command line's order
 * @param inheritedMonitor whether it has a QMP monitor on a descriptor that its parent gave it, as under libvirt
 */
public record QemuProcess(
        ProcessIdentity identity,
        String name,
        List<String> commandLine,
        int uid,
        int gid,
        Path workingDirectory,
        String memory,
        List<Path> qmpSockets,
        boolean inheritedMonitor) {
    public QemuProcess {
        commandLine = List.copyOf(commandLine);
        qmpSockets = List.copyOf(qmpSockets);
    }

    /** Its process id. */
    public long pid() {
        return identity.pid();
    }

    /** Name and pid for messages, e.g. {@code web1 (pid 4711)}. */
    public String label() {
        return name.isEmpty() ? "pid " + pid() : name + " (pid " + pid() + ")";
    }
}
