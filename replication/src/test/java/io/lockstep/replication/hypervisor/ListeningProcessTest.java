package io.lockstep.replication.hypervisor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.lockstep.linux.ProcessIdentity;
import io.lockstep.replication.LockstepException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

@Tag("system")
class ListeningProcessTest {
    private static final long TIMEOUT_NS = 5_000_000_000L;

    private static TestVm ofUser(int uid) {
        Assumptions.assumeTrue(System.getProperty("user.name").equals("root"), "only root may change users");
        return TestVm.startAs(
                List.of("setpriv", "--reuid", "" + uid, "--regid", "" + uid, "--clear-groups"), "-machine", "none");
    }

    @Test
    void shouldSayNothingToAnotherProcessWhenQemuItselfMustListen() throws Exception {
        try (TestVm vm = TestVm.start("-machine", "none")) {
            ListeningProcess itself = ListeningProcess.itself(vm.found().identity());
            try (QmpConnection qmp = QmpConnection.open(vm.qmpSocket(), itself, TIMEOUT_NS)) {
                assertThat(qmp.version()).isGreaterThanOrEqualTo(QemuVersion.OLDEST);
            }
            Path ours = vm.directory().resolve("ours");
            try (ServerSocketChannel listener = ServerSocketChannel.open(StandardProtocolFamily.UNIX)) {
                listener.bind(UnixDomainSocketAddress.of(ours));
                assertThatThrownBy(() -> QmpConnection.open(ours, itself, TIMEOUT_NS))
                        .hasMessage("The socket " + ours + " is not QEMU's: pid "
                                + ProcessHandle.current().pid() + " of user "
                                + Files.getAttribute(Path.of("/proc/self"), "unix:uid")
                                + " listens there != QEMU (pid " + vm.pid()
                                + "). Look at that process and at who may write in the socket's directory; nothing was"
                                + " sent to it.")
                        .isInstanceOfSatisfying(LockstepException.class, e -> assertThat(e.code())
                                .isEqualTo("socket-not-qemus"));
                try (SocketChannel accepted = listener.accept()) {
                    assertThat(accepted.read(java.nio.ByteBuffer.allocate(1)))
                            .as("the end")
                            .isEqualTo(-1);
                }
            }
        }
    }

    @Test
    void shouldRefuseAProcessOfAnotherUserWhenOneOfQemusOrRootsMayListen() throws Exception {
        try (TestVm vm = ofUser(65_534);
                TestVm same = ofUser(65_534);
                TestVm other = ofUser(65_533);
                TestVm roots = TestVm.start("-machine", "none")) {
            ListeningProcess expected = ListeningProcess.of(vm.found());
            for (TestVm welcome : List.of(vm, same, roots)) {
                QmpConnection.open(welcome.qmpSocket(), expected, TIMEOUT_NS).close();
            }
            assertThatThrownBy(() -> QmpConnection.open(other.qmpSocket(), expected, TIMEOUT_NS))
                    .hasMessageStartingWith("The socket " + other.qmpSocket() + " is not QEMU's: pid " + other.pid()
                            + " of user 65533 listens there != QEMU (pid " + vm.pid()
                            + "), a process of its user's, or of root's. ");
        }
    }

    @Test
    void shouldNotTakeAProcessForQemuWhenItsPidHasPassedOn() throws Exception {
        try (TestVm vm = TestVm.start("-machine", "none")) {
            ProcessIdentity identity = vm.found().identity();
            ListeningProcess earlier =
                    ListeningProcess.itself(new ProcessIdentity(identity.pid(), identity.startTicks() - 1));
            assertThatThrownBy(() -> QmpConnection.open(vm.qmpSocket(), earlier, TIMEOUT_NS))
                    .hasMessageContaining(" is not QEMU's: ");
        }
    }
}
