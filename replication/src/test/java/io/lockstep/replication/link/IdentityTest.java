package io.lockstep.replication.link;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.lockstep.replication.LockstepException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.interfaces.ECPublicKey;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class IdentityTest {
    @TempDir
    private Path temp;

    private static String mode(Path path) throws Exception {
        return PosixFilePermissions.toString(Files.getPosixFilePermissions(path));
    }

    private void assertRefused(Path directory, String code, String message) {
        assertThatThrownBy(() -> Identity.open(directory))
                .isInstanceOfSatisfying(
                        LockstepException.class, e -> assertThat(e.code()).isEqualTo(code))
                .hasMessageStartingWith(message);
    }

    @Test
    void shouldMakeAKeyThatOnlyItsOwnerReadsWhenThereIsNone() throws Exception {
        Path directory = temp.resolve("var/lib/lockstep");
        Identity identity = Identity.openOrCreate(directory);
        assertThat(identity.fingerprint()).matches("sha256:[0-9a-f]{64}");
        assertThat(Identity.openOrCreate(directory).fingerprint()).isEqualTo(identity.fingerprint());
        assertThat(mode(directory)).isEqualTo("rwx------");
        assertThat(mode(directory.resolve(Identity.STORE_FILE))).isEqualTo("rw-------");
        assertThat(mode(directory.resolve(Identity.PASSWORD_FILE))).isEqualTo("rw-------");
        assertThat(identity.certificate().getPublicKey()).isInstanceOfSatisfying(ECPublicKey.class, key -> assertThat(
                        key.getParams().getCurve().getField().getFieldSize())
                .isEqualTo(256));
        assertThat(identity.certificate().getNotAfter().toInstant())
                .isAfter(Instant.now().plus(Duration.ofDays(36_499)));
        try (Stream<Path> files = Files.list(directory)) {
            assertThat(files.map(file -> file.getFileName().toString()))
                    .containsExactlyInAnyOrder(Identity.STORE_FILE, Identity.PASSWORD_FILE, ".identity.lock");
        }
    }

    @Test
    void shouldMakeOneIdentityWhenTwoProcessesOrThreadsStartAtOnce() throws Exception {
        ExecutorService executor = Executors.newFixedThreadPool(3);
        try {
            List<Future<String>> made = new ArrayList<>();
            for (int i = 0; i < 3; i++) {
                made.add(executor.submit(() -> Identity.openOrCreate(temp).fingerprint()));
            }
            List<String> fingerprints = new ArrayList<>();
            for (Future<String> future : made) {
                fingerprints.add(future.get(60, TimeUnit.SECONDS));
            }
            assertThat(fingerprints).containsOnly(fingerprints.get(0));
        } finally {
            executor.shutdownNow();
        }
    }

    @Test
    void shouldSayHowToMakeOneWhenThereIsNone() {
        assertRefused(
                temp,
                "identity-missing",
                "no identity at " + temp.resolve(Identity.STORE_FILE) + ". Run 'lockstep identity' to create it.");
    }

    @Test
    void shouldRefuseWhenOthersMayReadTheKey() throws Exception {
        Identity.openOrCreate(temp);
        Path store = temp.resolve(Identity.STORE_FILE);
        Files.setPosixFilePermissions(store, PosixFilePermissions.fromString("rw-r-----"));
        assertRefused(
                temp,
                "identity-permissions",
                store + " has mode rw-r----- != rw-------: others may have read the key. Run 'chmod 600 " + store
                        + "'");
    }

    @Test
    void shouldRefuseWhenTheStoreIsCorrupt() throws Exception {
        Identity.openOrCreate(temp);
        Path store = temp.resolve(Identity.STORE_FILE);
        byte[] bytes = Files.readAllBytes(store);
        Files.write(store, java.util.Arrays.copyOf(bytes, bytes.length / 2));
        assertRefused(temp, "identity-corrupt", store + " cannot be decoded: ");
        Files.write(store, new byte[0]);
        assertRefused(temp, "identity-corrupt", store + " cannot be decoded: ");
        Files.write(store, new byte[65_537]);
        assertRefused(temp, "identity-corrupt", store + " has 65537 bytes > 65536. Restore both files");
    }

    @Test
    void shouldRefuseWhenThePasswordIsMissingOrWrong() throws Exception {
        Identity.openOrCreate(temp);
        Path password = temp.resolve(Identity.PASSWORD_FILE);
        Files.writeString(password, "not this");
        assertRefused(temp, "identity-corrupt", temp.resolve(Identity.STORE_FILE) + " cannot be decoded: ");
        Files.delete(password);
        assertRefused(temp, "identity-unreadable", password + " is missing. Restore both files");
    }

    @Test
    void shouldNotTakeAnInterruptedCreationForAnIdentity() throws Exception {
        Files.createFile(
                temp.resolve(Identity.PASSWORD_FILE),
                PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")));
        assertThat(Identity.openOrCreate(temp).fingerprint()).startsWith("sha256:");
    }

    @Test
    void shouldSaySoWhenTheDirectoryCannotBeWritten() throws Exception {
        Path file = Files.createFile(temp.resolve("file"));
        assertThatThrownBy(() -> Identity.openOrCreate(file.resolve("lockstep")))
                .isInstanceOfSatisfying(
                        LockstepException.class, e -> assertThat(e.code()).isEqualTo("identity-not-created"))
                .hasMessageStartingWith("cannot write an identity to " + file.resolve("lockstep") + ": ")
                .hasMessageEndingWith(". Run as a user that may write there, or free space.");
    }
}
