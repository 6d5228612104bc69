package io.lockstep.replication.hypervisor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.lockstep.linux.ProcessIdentity;
import io.lockstep.replication.LockstepException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class StandbyCommandLineTest {
    private static final Path DIRECTORY = Path.of("/run/s");
    private static final String END =
            " -qmp unix:/run/s/qemu/standby.qmp,server=on,wait=off -monitor none -incoming defer -S";

    private static final String DESCRIPTOR =
            " uses a descriptor that the primary's parent opened. Give one in the peer's configuration: vms.NAME.standbyCommand"
                    + " or vms.NAME.standbyReplacements.";

    private static String made(Map<String, Path> memory, String... primary) throws LockstepException {
        return StandbyCommandLine.of(request(memory, Map.of(), List.of(), primary))
                .toString();
    }

    private static StandbyCommandLine.Request request(
            Map<String, Path> memory, Map<String, String> replacements, List<String> template, String... primary) {
        return new StandbyCommandLine.Request(
                List.of(primary),
                DIRECTORY,
                memory,
                Map.of("pc.ram", 64L << 20, "ram0", 64L << 20, "n1", 64L << 20),
                Map.of(),
                Map.of(),
                replacements,
                template);
    }

    @Test
    void shouldKeepTheBlocksNameWhenMemoryWasMadeByDefault() throws Exception {
        assertThat(made(
                        Map.of("pc.ram", Path.of("/shm/a,b")),
                        "qemu-system-x86_64",
                        "-machine",
                        "q35",
                        "-m",
                        "64",
                        "-mem-path",
                        "/dev/hugepages",
                        "-mem-prealloc"))
                .isEqualTo(
                        "qemu-system-x86_64 -machine q35 -m 64 -object memory-backend-file,id=pc.ram,mem-path=/shm/a,,b,"
                                + "size=67108864,share=on,x-use-canonical-path-for-ramblock-id=off"
                                + " -machine memory-backend=pc.ram" + END);
    }

    @Test
    void shouldReplaceBackendsInPlaceWhenTheyAreExplicit() throws Exception {
        assertThat(made(
                        Map.of("ram0", Path.of("/shm/0"), "n1", Path.of("/shm/1")),
                        "qemu-system-x86_64",
                        "-M",
                        "pc",
                        "-object",
                        "memory-backend-memfd,id=ram0,size=64M,share=on",
                        "-object",
                        "{\"qom-type\":\"memory-backend-ram\",\"id\":\"n1\",\"size\":67108864}",
                        "-object",
                        "rng-random,id=r,filename=/dev/urandom",
                        "-numa",
                        "node,memdev=ram0"))
                .isEqualTo("qemu-system-x86_64 -M pc"
                        + " -object memory-backend-file,id=ram0,mem-path=/shm/0,size=67108864,share=on"
                        + " -object memory-backend-file,id=n1,mem-path=/shm/1,size=67108864,share=on"
                        + " -object rng-random,id=r,filename=/dev/urandom -numa node,memdev=ram0" + END);
    }

    @Test
    void shouldMoveSocketsAndContinueLogsWhenCharacterDevicesHaveThem() throws Exception {
        assertThat(made(
                        Map.of(),
                        "qemu-system-x86_64",
                        "-serial",
                        "file:/var/log/a b",
                        "-serial",
                        "unix:/run/vm/s1,server=on,wait=off",
                        "-serial",
                        "stdio",
                        "-chardev",
                        "file,id=f,path=/var/log/f",
                        "-chardev",
                        "socket,id=s,path=/run/vm/agent,server=on,wait=off",
                        "-chardev",
                        "socket,id=c,path=/run/vm/client",
                        "-vnc",
                        "unix:/run/vm/vnc,share=ignore",
                        "-D",
                        "/var/log/qemu"))
                .isEqualTo("qemu-system-x86_64 -chardev 'file,id=lockstep-serial0,path=/var/log/a b,append=on'"
                        + " -serial chardev:lockstep-serial0"
                        + " -chardev socket,id=lockstep-serial1,path=/run/s/qemu/s1,server=on,wait=off"
                        + " -serial chardev:lockstep-serial1 -serial stdio"
                        + " -chardev file,id=f,path=/var/log/f,append=on"
                        + " -chardev socket,id=s,path=/run/s/qemu/agent,server=on,wait=off"
                        + " -chardev socket,id=c,path=/run/vm/client -vnc unix:/run/s/qemu/vnc,share=ignore"
                        + " -D /run/s/qemu/qemu" + END);
    }

    @Test
    void shouldDropWhatBelongsToThePrimarysProcessWhenItIsGiven() throws Exception {
        assertThat(made(
                        Map.of(),
                        "qemu-system-x86_64",
                        "-name",
                        "web",
                        "-S",
                        "-s",
                        "-gdb",
                        "tcp::1",
                        "-daemonize",
                        "-pidfile",
                        "/p",
                        "-incoming",
                        "tcp:0:1",
                        "-loadvm",
                        "x",
                        "-qmp",
                        "unix:/a,server",
                        "-monitor",
                        "stdio",
                        "-chardev",
                        "socket,id=m,fd=9,server=on",
                        "-mon",
                        "chardev=m,mode=control",
                        "-runas",
                        "nobody",
                        "-snapshot",
                        "disk.img"))
                .isEqualTo("qemu-system-x86_64 -name web -snapshot disk.img" + END);
    }

    @Test
    void shouldRefuseWhenADescriptorOfThePrimarysParentIsUsed() {
        assertThatThrownBy(() -> made(Map.of(), "qemu-system-x86_64", "-netdev", "tap,fd=31,id=hostnet0"))
                .hasMessage(
                        "No standby command line can be made: -netdev tap,fd=31,id=hostnet0 uses a descriptor that the"
                                + " primary's parent opened. Say in the peer's configuration what it is there, e.g."
                                + " vms.NAME.standbyNetdevs = [\"hostnet0\", \"tap,ifname=TAP,script=no,downscript=no\"], with a"
                                + " tap that exists.");
        assertThatThrownBy(() -> made(Map.of(), "qemu-system-x86_64", "-chardev", "socket,fd=9,id=c"))
                .hasMessage("No standby command line can be made: -chardev socket,fd=9,id=c" + DESCRIPTOR);
        assertThatThrownBy(() -> made(
                        Map.of(),
                        "qemu-system-x86_64",
                        "-add-fd",
                        "set=3,fd=9",
                        "-device",
                        "pci-assign,configfd=/dev/fdset/3"))
                .hasMessage("No standby command line can be made: pci-assign,configfd=/dev/fdset/3" + DESCRIPTOR);
    }

    /** As libvirt 9.0 of Debian 12 wrote it for a domain with a disk, a bridge, a file as serial port, an agent's channel and VNC. */
    @Test
    void shouldMakeWhatLibvirtOpenedAnewWhenTheVmIsADomain() throws Exception {
        List<String> domain = libvirtCommandLine();
        List<String> made = StandbyCommandLine.of(new StandbyCommandLine.Request(
                        domain,
                        DIRECTORY,
                        Map.of("pc.ram", Path.of("/shm/0")),
                        Map.of("pc.ram", 64L << 20),
                        Map.of("/srv/web2.qcow2", Path.of("/images/0")),
                        Map.of("hostnet0", "tap,ifname=web2,script=no,downscript=no"),
                        Map.of(),
                        List.of()))
                .arguments();

        List<String> gone = new ArrayList<>(domain);
        made.forEach(gone::remove);
        gone.removeIf(argument -> argument.startsWith("-"));
        List<String> come = new ArrayList<>(made);
        domain.forEach(come::remove);
        assertThat(made).doesNotContain("-mon", "-add-fd", "-no-shutdown").endsWith("-incoming", "defer", "-S");
        assertThat(gone)
                .containsExactly(
                        "{\"qom-type\":\"secret\",\"id\":\"masterKey0\",\"format\":\"raw\","
                                + "\"file\":\"/var/lib/libvirt/qemu/domain-2-web2/master-key.aes\"}",
                        "{\"qom-type\":\"memory-backend-memfd\",\"id\":\"pc.ram\",\"share\":true,"
                                + "\"x-use-canonical-path-for-ramblock-id\":false,\"size\":67108864}",
                        "socket,id=charmonitor,fd=35,server=on,wait=off",
                        "chardev=charmonitor,id=monitor,mode=control",
                        "{\"driver\":\"file\",\"filename\":\"/srv/web2.qcow2\",\"node-name\":\"libvirt-1-storage\","
                                + "\"cache\":{\"direct\":true,\"no-flush\":false},\"auto-read-only\":true,\"discard\":\"unmap\"}",
                        "{\"node-name\":\"libvirt-1-format\",\"read-only\":false,\"cache\":{\"direct\":true,\"no-flush\":false},"
                                + "\"driver\":\"qcow2\",\"file\":\"libvirt-1-storage\",\"backing\":null}",
                        "{\"type\":\"tap\",\"fd\":\"36\",\"id\":\"hostnet0\"}",
                        "set=0,fd=34,opaque=serial0-source",
                        "file,id=charserial0,path=/dev/fdset/0,append=on",
                        "socket,id=charchannel0,fd=33,server=on,wait=off",
                        "unix:/run/lockstep-qmp/web2.qmp,server=on,wait=off");
        assertThat(come)
                .containsExactly(
                        "memory-backend-file,id=pc.ram,mem-path=/shm/0,size=67108864,share=on,"
                                + "x-use-canonical-path-for-ramblock-id=false",
                        "{\"driver\":\"file\",\"filename\":\"/images/0\",\"node-name\":\"libvirt-1-storage\","
                                + "\"cache\":{\"direct\":true,\"no-flush\":false},\"auto-read-only\":true,\"discard\":\"unmap\"}",
                        "{\"node-name\":\"libvirt-1-format\",\"read-only\":false,\"cache\":{\"direct\":true,\"no-flush\":false},"
                                + "\"driver\":\"raw\",\"file\":\"libvirt-1-storage\"}",
                        "tap,ifname=web2,script=no,downscript=no,id=hostnet0",
                        "file,id=charserial0,path=/run/s/qemu/charserial0.log,append=on",
                        "socket,id=charchannel0,server=on,wait=off,path=/run/s/qemu/charchannel0.sock",
                        "unix:/run/s/qemu/standby.qmp,server=on,wait=off",
                        "-monitor",
                        "none",
                        "-incoming",
                        "defer");
    }

    @Test
    void shouldRefuseWhenASecretIsEncryptedWithLibvirtsKey() throws Exception {
        List<String> domain = new ArrayList<>(libvirtCommandLine());
        domain.addAll(List.of("-object", "{\"qom-type\":\"secret\",\"id\":\"s0\",\"keyid\":\"masterKey0\"}"));
        assertThatThrownBy(() -> made(Map.of(), domain.toArray(String[]::new)))
                .hasMessage("No standby command line can be made: -object"
                        + " {\"qom-type\":\"secret\",\"id\":\"s0\",\"keyid\":\"masterKey0\"} is encrypted with a key of libvirt's,"
                        + " /var/lib/libvirt/qemu/domain-2-web2/master-key.aes, that this QEMU alone has. Give one in the peer's"
                        + " configuration: vms.NAME.standbyCommand or vms.NAME.standbyReplacements.");
    }

    private static List<String> libvirtCommandLine() throws IOException {
        try (InputStream file = StandbyCommandLineTest.class.getResourceAsStream("libvirt-9.0.cmdline")) {
            assertThat(file).isNotNull();
            return new String(file.readAllBytes(), StandardCharsets.UTF_8)
                    .lines()
                    .toList();
        }
    }

    @Test
    void shouldRefuseWhenABlockHasNoBackend() {
        assertThatThrownBy(() -> made(
                        Map.of("ram9", Path.of("/shm/9")), "qemu-system-x86_64", "-machine", "pc,memory-backend=other"))
                .hasMessage("No standby command line can be made: no memory backend of the primary's command line makes"
                        + " RAM block ram9. Give one in the peer's configuration: vms.NAME.standbyCommand or"
                        + " vms.NAME.standbyReplacements.");
    }

    @Test
    void shouldUseTheOperatorsLineAndTextsWhenGiven() throws Exception {
        StandbyCommandLine line = StandbyCommandLine.of(request(
                Map.of("pc.ram", Path.of("/shm/a")),
                Map.of("br0", "br1"),
                List.of(
                        "my-qemu",
                        "-object",
                        "x,mem-path=@memory:pc.ram@",
                        "-qmp",
                        "unix:@qmp@",
                        "-netdev",
                        "bridge,br=br0",
                        "-D",
                        "@directory@/trace"),
                "qemu-system-x86_64"));
        assertThat(line.arguments())
                .containsExactly(
                        "my-qemu",
                        "-object",
                        "x,mem-path=/shm/a",
                        "-qmp",
                        "unix:/run/s/qemu/standby.qmp",
                        "-netdev",
                        "bridge,br=br1",
                        "-D",
                        "/run/s/qemu/trace");
    }

    @Test
    void shouldFindTheDirectoryWithTheRecordWhenAQemuWasStartedAsAStandby() {
        Path monitor = StandbyCommandLine.qmpSocket(DIRECTORY);
        assertThat(StandbyCommandLine.startedIn(process(monitor, "-incoming", "defer")))
                .isEqualTo(DIRECTORY);
        assertThat(StandbyCommandLine.startedIn(process(monitor))).isNull();
        assertThat(StandbyCommandLine.startedIn(process(DIRECTORY.resolve("standby.qmp"), "-incoming", "defer")))
                .isNull();
    }

    private static QemuProcess process(Path monitor, String... arguments) {
        return new QemuProcess(
                new ProcessIdentity(7, 1), "", List.of(arguments), 0, 0, Path.of("/"), "", List.of(monitor), false);
    }
}
