package io.lockstep.replication.hypervisor;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class DrillCommandLineTest {
    private static final Path DIRECTORY = Path.of("/run/lockstep/drill/vm");
    private static final Path SOCKET = DIRECTORY.resolve("disk-0.nbd");

    /** The options of a drill, each with its value, of what the primary was started with. */
    private static DrillCommandLine.Made made(String... primary) throws Exception {
        List<String> commandLine = new java.util.ArrayList<>(List.of("qemu", "-m", "64"));
        commandLine.addAll(List.of(primary));
        boolean disk = String.join(" ", primary).contains("/d.qcow2");
        StandbyCommandLine standby = StandbyCommandLine.of(new StandbyCommandLine.Request(
                commandLine,
                DIRECTORY,
                Map.of("pc.ram", Path.of("/dev/shm/ram")),
                Map.of("pc.ram", 64L << 20),
                disk ? Map.of("/d.qcow2", SOCKET) : Map.of(),
                Map.of(),
                Map.of(),
                List.of()));
        return DrillCommandLine.of(standby, Map.of(SOCKET.toString(), SOCKET));
    }

    private static String line(String... primary) throws Exception {
        return String.join(" ", made(primary).arguments());
    }

    @Test
    void shouldReachNothingOutside() throws Exception {
        assertThat(line("-netdev", "user,id=n0,hostfwd=tcp::22-:22")).contains("-netdev user,id=n0 ");
        assertThat(line("-netdev", "socket,id=n0,connect=10.0.0.1:99")).contains("-netdev hubport,hubid=1000,id=n0 ");
        assertThat(line("-net", "nic", "-net", "user")).contains("-net nic -net user ");
        assertThat(line("-net", "nic", "-net", "tap,ifname=x"))
                .contains("-net nic ")
                .doesNotContain("tap");
        assertThat(line("-nic", "none")).contains("-nic none ");
        assertThat(line("-chardev", "socket,id=c,host=h,port=1")).contains("-chardev null,id=c ");
        assertThat(line("-chardev", "file,id=c,path=/var/log/x,mux=on")).contains("-chardev null,id=c,mux=on ");
        assertThat(line("-chardev", "pty,id=c")).contains("-chardev null,id=c ");
        assertThat(line("-chardev", "ringbuf,id=c,logfile=/x")).contains("-chardev ringbuf,id=c ");
        assertThat(line("-serial", "file:/var/log/x"))
                .contains("-serial chardev:")
                .contains("-chardev null,id=");
        assertThat(line("-serial", "stdio")).contains("-serial null ");
        assertThat(line("-object", "filter-dump,id=f,netdev=n0,file=/x")).doesNotContain("filter-dump");
        assertThat(line("-drive", "if=pflash,format=raw,file=/vars.fd"))
                .contains("-drive if=pflash,format=raw,file=/vars.fd,snapshot=on ");
        assertThat(line("-drive", "file=/cd.iso,media=cdrom")).contains("-drive file=/cd.iso,media=cdrom ");
        assertThat(line()).contains("-qmp unix:/run/lockstep/drill/vm/qemu/standby.qmp,server=on,wait=off");
    }

    @Test
    void shouldHaveTapsWhereTheVmHasTapsForTheirOffloads() throws Exception {
        DrillCommandLine.Made made =
                made("-netdev", "tap,id=n0,ifname=vnet7,script=/etc/up,vnet_hdr=on", "-netdev", "bridge,br=br0,id=n1");
        assertThat(made.taps()).containsExactly("drill0", "drill1");
        assertThat(String.join(" ", made.arguments()))
                .contains("-netdev tap,ifname=drill0,script=no,downscript=no,id=n0,vnet_hdr=on ")
                .contains("-netdev tap,ifname=drill1,script=no,downscript=no,id=n1 ");
        assertThat(line("-nic", "tap,model=virtio,mac=52:54:00:00:00:01"))
                .contains("-nic tap,ifname=drill0,script=no,downscript=no,model=virtio,mac=52:54:00:00:00:01 ");
    }

    @Test
    void shouldOpenReplicatedDisksAsExports() throws Exception {
        assertThat(line("-drive", "if=virtio,file=/d.qcow2,format=qcow2,aio=native,cache=none,file.locking=off"))
                .contains("-drive if=virtio,file=nbd+unix:///?socket=" + SOCKET + ",format=raw,cache=none ");
        assertThat(line(
                        "-blockdev",
                        "driver=file,node-name=f,filename=/d.qcow2,aio=io_uring,cache.direct=on,detect-zeroes=on",
                        "-blockdev",
                        "driver=qcow2,node-name=d,file=f"))
                .contains(
                        "-blockdev {\"node-name\":\"f\",\"cache\":{\"direct\":true},\"detect-zeroes\":\"on\",\"driver\":\"nbd\",\"server\":{\"type\":\"unix\","
                                + "\"path\":\"" + SOCKET + "\"}} ")
                .contains("-blockdev driver=raw,node-name=d,file=f ");
        assertThat(line("-blockdev", "driver=file,node-name=v,filename=/vars.fd,locking=off"))
                .contains("-blockdev driver=file,node-name=v,filename=/vars.fd,locking=off,read-only=on ");
        assertThat(
                        line(
                                "-blockdev",
                                "{\"driver\":\"raw\",\"node-name\":\"d\",\"file\":{\"driver\":\"file\",\"filename\":\"/d.qcow2\"}}"))
                .contains("\"file\":{\"driver\":\"nbd\",\"server\":{\"type\":\"unix\",\"path\":\"" + SOCKET + "\"}}");
    }
}
