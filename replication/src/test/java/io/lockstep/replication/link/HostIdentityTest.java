package io.lockstep.replication.link;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.lockstep.replication.LockstepException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class HostIdentityTest {
    @TempDir
    Path directory;

    private Path host(String name, String machineId, String bootId, String uuid) throws IOException {
        Path root = directory.resolve(name);
        write(root.resolve("etc/machine-id"), machineId);
        write(root.resolve("proc/sys/kernel/random/boot_id"), bootId);
        write(root.resolve("sys/class/dmi/id/product_uuid"), uuid);
        return root;
    }

    private static void write(Path file, String text) throws IOException {
        Files.createDirectories(file.getParent());
        if (!text.isEmpty()) {
            Files.writeString(file, text + "\n");
        }
    }

    private static void assertRefused(HostIdentity peer, HostIdentity primary, String id) {
        assertThatThrownBy(() -> peer.requireOtherThan(primary))
                .isInstanceOfSatisfying(
                        LockstepException.class, e -> assertThat(e.code()).isEqualTo("peer-same-host"))
                .hasMessageStartingWith(
                        "The peer's " + id + " == the primary's: a replica on the machine of its VM dies with it. ")
                .hasMessageEndingWith(
                        " To try lockstep on one machine, start both agents with --same-host-for-testing.");
    }

    @Test
    void shouldRefuseWhenAnyIdIsTheSame() throws Exception {
        HostIdentity one = HostIdentity.of(host("one", "m1", "b1", "4C4C4544-0001"), false);
        assertRefused(one, HostIdentity.of(host("boot", "m2", "b1", "u2"), false), "boot-id");
        assertRefused(one, HostIdentity.of(host("uuid", "m2", "b2", "4c4c4544-0001"), false), "SMBIOS UUID");
        assertRefused(one, HostIdentity.of(host("machine", "m1", "b2", "u2"), false), "machine-id");
        assertRefused(HostIdentity.current(false), HostIdentity.current(false), "boot-id");
    }

    @Test
    void shouldAcceptAnotherMachineAndOneThatTellsNothing() throws Exception {
        HostIdentity one = HostIdentity.of(host("one", "m1", "b1", "u1"), false);
        HostIdentity silent = HostIdentity.of(host("silent", "", "", ""), false);
        assertThatCode(() -> one.requireOtherThan(HostIdentity.of(host("two", "m2", "b2", "u2"), false)))
                .doesNotThrowAnyException();
        assertThat(silent).isEqualTo(HostIdentity.UNKNOWN);
        assertThatCode(() -> silent.requireOtherThan(silent)).doesNotThrowAnyException();
        assertThatCode(() -> one.requireOtherThan(silent)).doesNotThrowAnyException();
    }

    @Test
    void shouldNotTakeBoardsForOneWhoseMakerSetNoUuid() throws Exception {
        String unset = "03000200-0400-0500-0006-000700080009";
        HostIdentity one = HostIdentity.of(host("one", "m1", "b1", unset), false);
        assertThatCode(() -> one.requireOtherThan(HostIdentity.of(host("two", "m2", "b2", unset), false)))
                .doesNotThrowAnyException();
    }

    @Test
    void shouldAcceptTheSameMachineOnlyWhenBothSidesAllowIt() {
        HostIdentity strict = HostIdentity.current(false);
        HostIdentity testing = HostIdentity.current(true);
        assertThatCode(() -> testing.requireOtherThan(testing)).doesNotThrowAnyException();
        assertRefused(strict, testing, "boot-id");
        assertRefused(testing, strict, "boot-id");
    }

    @Test
    void shouldTellNoIdItself() throws Exception {
        HostIdentity one = HostIdentity.of(host("one", "0123456789abcdef0123456789abcdef", "b1", "u1"), false);
        assertThat(one.machineId()).hasSize(32).isNotEqualTo("0123456789abcdef0123456789abcdef");
        // Each kind has digests of its own.
        HostIdentity equal = HostIdentity.of(host("equal", "x", "x", "x"), false);
        assertThat(equal.machineId()).isNotEqualTo(equal.bootId());
    }
}
