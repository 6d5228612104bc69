package io.lockstep.replication.link;

import io.lockstep.replication.LockstepException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermission;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.security.PrivateKey;
import java.security.cert.CertificateEncodingException;
import java.security.cert.X509Certificate;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.Set;

/**
 * Who this agent is: a private key and the certificate that it signed itself. Nobody vouches for the certificate; each side names the other's
 * fingerprint in its configuration. Immutable.
 *
 * <p>Invariant: the key is never read from a file that anybody but its owner may read.
 */
public final class Identity {
    /** The key and the certificate, PKCS #12. */
    public static final String STORE_FILE = "identity.p12";

    /** The store's password: random, so that the store alone is worth nothing in a backup. */
    public static final String PASSWORD_FILE = "identity.password";

    static final String ALIAS = "lockstep";
    static final String CURE_RENEW =
            "Restore both files from a backup, or remove both and run 'lockstep identity' for a"
                    + " new identity, whose fingerprint the peer must then be told.";

    /** A store of one EC key has about 1 KB, a password 64 characters. */
    private static final int FILE_BYTES_MAX = 64 << 10;

    private static final Set<PosixFilePermission> OWNER_ONLY =
            Set.of(PosixFilePermission.OWNER_READ, PosixFilePermission.OWNER_WRITE);

    private final PrivateKey privateKey;
    private final X509Certificate certificate;
    private final String fingerprint;

    private Identity(PrivateKey privateKey, X509Certificate certificate) {
        this.privateKey = privateKey;
        this.certificate = certificate;
        fingerprint = fingerprintOf(certificate);
    }

    /**
     * Reads the identity that is kept in a directory.
     *
     * @throws LockstepException {@code identity-missing}, {@code identity-unreadable}, {@code identity-permissions} or {@code identity-corrupt}
     */
    public static Identity open(Path directory) throws LockstepException {
        Path store = directory.resolve(STORE_FILE);
        if (!Files.exists(store, LinkOption.NOFOLLOW_LINKS)) {
            throw new LockstepException(
                    "identity-missing", "no identity at " + store + ". Run 'lockstep identity' to create it.");
        }
        char[] password = password(read(directory.resolve(PASSWORD_FILE)));
        try (InputStream in = new java.io.ByteArrayInputStream(read(store))) {
            KeyStore keys = KeyStore.getInstance("PKCS12");
            keys.load(in, password);
            if (keys.getKey(ALIAS, password) instanceof PrivateKey key
                    && keys.getCertificate(ALIAS) instanceof X509Certificate certificate) {
                return new Identity(key, certificate);
            }
            throw new LockstepException("identity-corrupt", store + " holds no key named " + ALIAS + ". " + CURE_RENEW);
        } catch (IOException | GeneralSecurityException e) {
            throw new LockstepException(
                    "identity-corrupt", store + " cannot be decoded: " + e.getMessage() + ". " + CURE_RENEW, e);
        } finally {
            Arrays.fill(password, '\0');
        }
    }

    /** Reads the identity, or creates it where there is none; safe against another process that does the same. */
    public static Identity openOrCreate(Path directory) throws LockstepException {
        if (!Files.exists(directory.resolve(STORE_FILE), LinkOption.NOFOLLOW_LINKS)) {
            new IdentityCreation(directory).run();
        }
        return open(directory);
    }

    /** {@code sha256:} and the 64 hexadecimal digits of the SHA-256 of a certificate's DER encoding. */
    public static String fingerprintOf(X509Certificate certificate) {
        try {
            byte[] digest = MessageDigest.getInstance("SHA-256").digest(certificate.getEncoded());
            return "sha256:" + HexFormat.of().formatHex(digest);
        } catch (NoSuchAlgorithmException | CertificateEncodingException e) {
            throw new IllegalStateException("every JDK has SHA-256, every parsed certificate an encoding", e);
        }
    }

    /** What the peer must be told: {@code sha256:} and 64 hexadecimal digits. */
    public String fingerprint() {
        return fingerprint;
    }

    /** The certificate that the peer sees. */
    public X509Certificate certificate() {
        return certificate;
    }

    PrivateKey privateKey() {
        return privateKey;
    }

    private static char[] password(byte[] bytes) {
        char[] password = new char[bytes.length];
        int length = 0;
        for (byte b : bytes) {
            if (b != '\n') {
                password[length++] = (char) (b & 0xff);
            }
        }
        return Arrays.copyOf(password, length);
    }

    private static byte[] read(Path file) throws LockstepException {
        try {
            Set<PosixFilePermission> permissions = Files.getPosixFilePermissions(file);
            if (!OWNER_ONLY.containsAll(permissions)) {
                throw new LockstepException(
                        "identity-permissions",
                        file + " has mode "
                                + java.nio.file.attribute.PosixFilePermissions.toString(permissions)
                                + " != rw-------: others may have read the key. Run 'chmod 600 " + file
                                + "' if none did; otherwise remove " + STORE_FILE + " and " + PASSWORD_FILE
                                + " and run 'lockstep identity'.");
            }
            long bytes = Files.size(file);
            if (bytes > FILE_BYTES_MAX) {
                throw new LockstepException(
                        "identity-corrupt", file + " has " + bytes + " bytes > " + FILE_BYTES_MAX + ". " + CURE_RENEW);
            }
            return Files.readAllBytes(file);
        } catch (NoSuchFileException e) {
            throw new LockstepException("identity-unreadable", file + " is missing. " + CURE_RENEW, e);
        } catch (IOException e) {
            throw new LockstepException(
                    "identity-unreadable",
                    "cannot read " + file + ": " + e + ". Run as the user that owns it, or correct its owner.",
                    e);
        }
    }
}
