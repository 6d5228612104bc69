package io.lockstep.replication.hypervisor;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class StandbyDisksTest {
    private static final Path IMAGE = Path.of("/disks/vm/disk-0.raw");

    private static String rewritten(String file, String... arguments) {
        StandbyDisks disks = new StandbyDisks(Map.of(file, IMAGE));
        List<String> command = new ArrayList<>(List.of("qemu"));
        command.addAll(List.of(arguments));
        List<String> out = new ArrayList<>();
        QemuOption.parse(command).forEach(option -> out.addAll(disks.rewrite(option)));
        assertThat(disks.left()).isEmpty();
        return String.join(" ", out);
    }

    @Test
    void shouldOpenTheRawImageWhenADriveWasQcow2() {
        assertThat(rewritten("/vm/a.qcow2", "-drive", "file=/vm/a.qcow2,format=qcow2,if=virtio,id=d0,cache=none"))
                .isEqualTo("-drive file=/disks/vm/disk-0.raw,format=raw,if=virtio,id=d0,cache=none");
    }

    @Test
    void shouldSayTheFormatWhenADiskWasGivenByItsNameAlone() {
        assertThat(rewritten("a.img", "-hdb", "a.img"))
                .isEqualTo("-drive file=/disks/vm/disk-0.raw,format=raw,index=1,media=disk");
        assertThat(rewritten("a.img", "a.img"))
                .isEqualTo("-drive file=/disks/vm/disk-0.raw,format=raw,index=0,media=disk");
    }

    @Test
    void shouldKeepTheNodesNamesWhenAGraphIsReplaced() {
        assertThat(rewritten(
                        "/vm/a.qcow2",
                        "-blockdev",
                        "driver=file,node-name=f0,filename=/vm/a.qcow2",
                        "-blockdev",
                        "driver=qcow2,node-name=d0,file=f0,backing=b0"))
                .isEqualTo(
                        "-blockdev driver=file,node-name=f0,filename=/disks/vm/disk-0.raw -blockdev driver=raw,node-name=d0,file=f0");
        assertThat(
                        rewritten(
                                "/vm/a.qcow2",
                                "-blockdev",
                                "{\"driver\":\"qcow2\",\"node-name\":\"d0\",\"file\":{\"driver\":\"file\",\"filename\":\"/vm/a.qcow2\"}}"))
                .isEqualTo("-blockdev {\"driver\":\"raw\",\"node-name\":\"d0\","
                        + "\"file\":{\"driver\":\"file\",\"filename\":\"/disks/vm/disk-0.raw\"}}");
    }

    @Test
    void shouldLeaveOtherDisksAlone() {
        StandbyDisks disks = new StandbyDisks(Map.of("/vm/a", IMAGE));
        QemuOption other = new QemuOption("drive", "file=/vm/b,format=raw,if=virtio");
        assertThat(disks.rewrite(other)).isEqualTo(other.arguments());
        assertThat(disks.left()).containsExactly("/vm/a");
    }
}
