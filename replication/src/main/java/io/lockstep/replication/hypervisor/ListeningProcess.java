package io.lockstep.replication.hypervisor;

import io.lockstep.linux.LinuxException;
import io.lockstep.linux.ProcessIdentity;
import io.lockstep.linux.SocketPeer;
import io.lockstep.linux.UnixSocket;
import io.lockstep.replication.LockstepException;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Who may listen at a socket of a QEMU's. Its path says little: whoever may write in the directory, other processes of QEMU's user among them,
 * can put a socket of his own there. The kernel knows who called listen(2). Any thread.
 */
public final class ListeningProcess {
    private static final int ROOT = 0;

    private final ProcessIdentity qemu;
    private final List<Integer> users;

    private ListeningProcess(ProcessIdentity qemu, List<Integer> users) {
        this.qemu = qemu;
        this.users = users;
    }

    /** The QEMU itself and nobody else: for one that was started by us, and opens its sockets itself. */
    static ListeningProcess itself(ProcessIdentity qemu) {
        return new ListeningProcess(qemu, List.of());
    }

    /**
     * The QEMU itself, or a process of root's, of its own user's or of ours: libvirt and other parents listen for their QEMU, and hand the socket
     * to it.
     */
    public static ListeningProcess of(QemuProcess qemu) throws LockstepException {
        try {
            int own = ProcessOwner.of(Path.of("/proc/self")).uid();
            return new ListeningProcess(qemu.identity(), Arrays.asList(ROOT, own, qemu.uid()));
        } catch (IOException e) {
            throw new LockstepException(
                    "qmp-unreachable", "/proc/self/status cannot be read: " + e.getMessage() + ".", e);
        }
    }

    /**
     * Makes sure of the one at the other end, before anything is sent to it or believed.
     *
     * @throws LockstepException {@code socket-not-qemus}
     */
    void require(UnixSocket socket, Path path) throws LockstepException {
        SocketPeer peer;
        try {
            peer = socket.peer();
        } catch (LinuxException e) {
            throw refusal(path, "who listens there is not known (" + e.getMessage() + ")", e);
        }
        boolean itself = peer.pid() == qemu.pid() && qemu.alive();
        if (!itself && !users.contains(peer.uid())) {
            throw refusal(
                    path,
                    "pid " + peer.pid() + " of user " + peer.uid() + " listens there != QEMU (pid " + qemu.pid() + ")"
                            + (users.isEmpty() ? "" : ", a process of its user's, or of root's"),
                    null);
        }
    }

    private static LockstepException refusal(Path path, String what, @Nullable Throwable cause) {
        String message = "The socket " + path + " is not QEMU's: " + what
                + ". Look at that process and at who may write in the socket's directory; nothing was sent to it.";
        return cause == null
                ? new LockstepException("socket-not-qemus", message)
                : new LockstepException("socket-not-qemus", message, cause);
    }
}
