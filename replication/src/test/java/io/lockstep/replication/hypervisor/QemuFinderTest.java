package io.lockstep.replication.hypervisor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.lockstep.linux.ProcessIdentity;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

class QemuFinderTest {
    private static QemuProcess read(String... commandLine) {
        return QemuFinder.of(new ProcessIdentity(42, 1), List.of(commandLine), 107, 108, Path.of("/var/lib/vm"));
    }

    @Test
    void shouldReadNameMemoryAndSocketsWhenTheyAreWrittenInEitherWay() {
        QemuProcess process = read(
                "/usr/bin/qemu-system-x86_64",
                "--name",
                "debug-threads=on,guest=web,,1",
                "-S",
                "-m",
                "size=2G,slots=2",
                "-qmp",
                "unix:a.qmp,server=on,wait=off",
                "-chardev",
                "socket,id=mon1,path=/run/b.qmp,server=on,wait=off",
                "-mon",
                "chardev=mon1,id=m,mode=control",
                "-chardev",
                "socket,id=hmp,path=/run/c,server,nowait",
                "-mon",
                "chardev=hmp,mode=readline",
                "-qmp",
                "tcp:localhost:4444,server=on");
        assertThat(process.name()).isEqualTo("web,1");
        assertThat(process.memory()).isEqualTo("2G");
        assertThat(process.qmpSockets()).containsExactly(Path.of("/var/lib/vm/a.qmp"), Path.of("/run/b.qmp"));
        assertThat(process.inheritedMonitor()).isFalse();
        assertThat(process.label()).isEqualTo("web,1 (pid 42)");
    }

    @Test
    void shouldReadWhatAnybodyWritesIntoACommandLine() {
        assertThat(read("qemu-system-x", "-qmp", "unix:path=/run/a.qmp,server=on")
                        .qmpSockets())
                .containsExactly(Path.of("/run/a.qmp"));
        assertThat(read("qemu-system-x", "-qmp", "unix:/a,path=b").qmpSockets())
                .containsExactly(Path.of("/var/lib/vm/b"));
        assertThat(read("qemu-system-x", "-qmp", "unix:/run/vm=1.sock").qmpSockets())
                .as("QEMU takes that for an option")
                .isEmpty();
        assertThat(read("qemu-system-x", "-qmp", "unix:").qmpSockets()).containsExactly(Path.of("/var/lib/vm"));
    }

    @Test
    void shouldNameTheCureWhenTheOnlyMonitorIsInherited() {
        QemuProcess process = read(
                "qemu-system-x86_64",
                "-name",
                "guest=db",
                "-chardev",
                "socket,id=charmonitor,fd=23,server=on,wait=off",
                "-mon",
                "chardev=charmonitor,id=monitor,mode=control");
        assertThatThrownBy(() -> QemuFinder.qmpSocket(process))
                .hasMessage("QEMU db (pid 42) has only a QMP monitor on an inherited descriptor, which its parent"
                        + " (libvirt?) uses: start it with a second one, e.g."
                        + " `-qmp unix:/run/NAME.qmp,server=on,wait=off` (libvirt: <qemu:commandline>).");
    }

    @Test
    void shouldNameTheCureWhenThereIsNoMonitor() {
        assertThatThrownBy(() -> QemuFinder.qmpSocket(read("qemu-system-x86_64")))
                .hasMessage("QEMU pid 42 has no QMP monitor on a unix socket: start it with a second one, e.g."
                        + " `-qmp unix:/run/NAME.qmp,server=on,wait=off` (libvirt: <qemu:commandline>).");
    }

    @Test
    @Tag("system")
    void shouldFindTheVmWhenAskedByPidNameOrSocket() throws Exception {
        String name = "finder-" + ProcessHandle.current().pid();
        try (TestVm vm = TestVm.start("-machine", "pc", "-m", "16", "-name", name)) {
            QemuFinder finder = new QemuFinder();
            QemuProcess found = finder.find(name);
            assertThat(found.pid()).isEqualTo(vm.pid());
            assertThat(found.identity()).isEqualTo(ProcessIdentity.of(vm.pid()));
            assertThat(found.workingDirectory()).isEqualTo(vm.directory());
            assertThat(found.commandLine().get(0)).isEqualTo("qemu-system-x86_64");
            assertThat(finder.find(String.valueOf(vm.pid()))).isEqualTo(found);
            assertThat(finder.find(vm.qmpSocket().toString())).isEqualTo(found);
            assertThat(QemuFinder.qmpSocket(found)).isEqualTo(vm.qmpSocket());
            assertThatThrownBy(() -> finder.find("no-such-vm"))
                    .hasMessageStartingWith("No QEMU named no-such-vm runs on this host; there are: ")
                    .hasMessageContaining(name + " (pid " + vm.pid() + ")")
                    .hasMessageEndingWith(". See `lockstep vms`.");
            try (TestVm twin = TestVm.start("-machine", "pc", "-m", "16", "-name", name)) {
                assertThatThrownBy(() -> finder.find(name))
                        .hasMessageStartingWith("2 QEMUs named " + name + ": ")
                        .hasMessageContaining(name + " (pid " + vm.pid() + ")")
                        .hasMessageContaining(name + " (pid " + twin.pid() + ")")
                        .hasMessageEndingWith(". Name one by its pid.");
            }
        }
    }
}
