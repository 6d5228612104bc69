package io.lockstep.replication.link;

import io.lockstep.replication.LockstepException;
import io.lockstep.replication.PassableDirectory;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.SecureRandom;
import java.util.HexFormat;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.TimeUnit;

/**
 * Makes a new identity: an EC P-256 key and a certificate for 100 years, by the JDK's own keytool (no public API of the JDK signs a certificate).
 *
 * <p>Invariant: the store appears under its name whole, synced and readable by its owner only, and after its password. A creation that was killed
 * leaves nothing that {@link Identity#open} would take for an identity.
 */
final class IdentityCreation {
    private static final int PASSWORD_BYTES = 32;
    private static final int VALIDITY_DAYS = 36_500;

    /** keytool needs about a second; a machine that pages may need ten. */
    private static final long KEYTOOL_SECONDS_MAX = 60;

    private static final FileAttribute<Set<PosixFilePermission>> OWNER_FILE =
            PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------"));
    private static final FileAttribute<Set<PosixFilePermission>> OWNER_DIRECTORY =
            PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------"));

    private static final Object IN_PROCESS = new Object();

    private final Path directory;

    IdentityCreation(Path directory) {
        this.directory = directory;
    }

    void run() throws LockstepException {
        // A file lock keeps other processes out, and fails between threads of one process.
        synchronized (IN_PROCESS) {
            createUnlessThere();
        }
    }

    private void createUnlessThere() throws LockstepException {
        try {
            // What is above it is the way to other directories, also for QEMU's user.
            PassableDirectory.open(
                    Objects.requireNonNull(directory.toAbsolutePath().getParent()));
            Files.createDirectories(directory, OWNER_DIRECTORY);
            Path lockFile = directory.resolve(".identity.lock");
            try (FileChannel lockChannel = FileChannel.open(
                            lockFile, Set.of(StandardOpenOption.CREATE, StandardOpenOption.WRITE), OWNER_FILE);
                    FileLock lock = lockChannel.lock()) {
                if (lock.isValid()
                        && !Files.exists(directory.resolve(Identity.STORE_FILE), LinkOption.NOFOLLOW_LINKS)) {
                    create();
                }
            }
        } catch (IOException e) {
            throw new LockstepException(
                    "identity-not-created",
                    "cannot write an identity to " + directory + ": " + e
                            + ". Run as a user that may write there, or free space.",
                    e);
        }
    }

    private void create() throws IOException, LockstepException {
        Path work = Files.createTempDirectory(directory, ".identity-", OWNER_DIRECTORY);
        Path password = work.resolve(Identity.PASSWORD_FILE);
        Path store = work.resolve(Identity.STORE_FILE);
        Path output = work.resolve("keytool.out");
        try {
            byte[] secret = new byte[PASSWORD_BYTES];
            new SecureRandom().nextBytes(secret);
            Files.createFile(password, OWNER_FILE);
            Files.writeString(password, HexFormat.of().formatHex(secret));
            keytool(store, password, output);
            Files.setPosixFilePermissions(store, PosixFilePermissions.fromString("rw-------"));
            sync(password);
            sync(store);
            Files.move(password, directory.resolve(Identity.PASSWORD_FILE), StandardCopyOption.ATOMIC_MOVE);
            Files.move(store, directory.resolve(Identity.STORE_FILE), StandardCopyOption.ATOMIC_MOVE);
            sync(directory);
        } finally {
            Files.deleteIfExists(output);
            Files.deleteIfExists(store);
            Files.deleteIfExists(password);
            Files.deleteIfExists(work);
        }
    }

    private static void keytool(Path store, Path password, Path output) throws IOException, LockstepException {
        Path keytool = Path.of(System.getProperty("java.home"), "bin", "keytool");
        List<String> command = List.of(
                keytool.toString(),
                "-genkeypair",
                "-alias",
                Identity.ALIAS,
                "-keyalg",
                "EC",
                "-groupname",
                "secp256r1",
                "-sigalg",
                "SHA256withECDSA",
                "-validity",
                Integer.toString(VALIDITY_DAYS),
                "-dname",
                "CN=lockstep",
                "-storetype",
                "PKCS12",
                "-keystore",
                store.toString(),
                "-storepass:file",
                password.toString());
        ProcessBuilder builder =
                new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(output.toFile());
        builder.environment().remove("JAVA_TOOL_OPTIONS");
        Process process = builder.start();
        try {
            if (!process.waitFor(KEYTOOL_SECONDS_MAX, TimeUnit.SECONDS)) {
                throw failed(keytool, "ran longer than " + KEYTOOL_SECONDS_MAX + " s");
            }
            if (process.exitValue() != 0 || !Files.exists(store)) {
                String said = Files.readString(output, StandardCharsets.UTF_8).strip();
                throw failed(keytool, "ended with status " + process.exitValue() + ": " + said);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw failed(keytool, "was interrupted");
        } finally {
            process.destroyForcibly();
        }
    }

    private static LockstepException failed(Path keytool, String how) {
        return new LockstepException(
                "identity-not-created",
                keytool + " " + how + ". Install a JRE with keytool, then run 'lockstep identity'.");
    }

    private static void sync(Path path) throws IOException {
        try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ)) {
            channel.force(true);
        }
    }
}
