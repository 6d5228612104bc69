package io.lockstep.agent.pairing;

import io.lockstep.replication.LockstepException;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.security.SecureRandom;
import java.util.Locale;

/**
 * Two hosts tell each other who they are, over a connection that nobody protects. What is said is public; that it came from the right host
 * is for people to confirm, who compare six digits.
 *
 * <pre>
 * dialing side                        listening side
 *   magic, SHA-256(nonce A, A)  →
 *                               ←  magic, nonce B, B
 *   nonce A, A                  →
 * both: code = SHA-256(nonce A, A, nonce B, B) mod 10^6
 *   confirmed                   ⇄  confirmed
 * </pre>
 *
 * <p>The dialing side is bound to what it will say before it hears the other, and the listener speaks before it hears more than a hash: whoever
 * stands between can try one pair of identities only, and is right by chance in one of a million cases.
 */
public final class Pairing {
    private static final int MAGIC = 0x4C535031; // "LSP1"
    private static final int NONCE_BYTES = 16;
    private static final int TEXT_BYTES_MAX = 256;
    private static final int CODES = 1_000_000;
    private static final int CONFIRMED = 1;

    /**
     * A host, as it introduces itself.
     *
     * @param name by which the other's configuration will know it
     * @param port on which its agent listens for primaries
     * @param fingerprint of its certificate
     */
    public record Introduction(String name, int port, String fingerprint) {}

    /** Shows the code to a person. */
    @FunctionalInterface
    public interface Confirmation {
        /**
         * Whether the other host shows the same.
         *
         * @throws LockstepException if this host could not take the other in; it is told to the other as a refusal
         */
        boolean same(String code, Introduction other) throws IOException, LockstepException;
    }

    private Pairing() {}

    /** Whether a host may be called so: letters, digits, dots and dashes. */
    public static boolean isName(String text) {
        return text.matches("[A-Za-z0-9][A-Za-z0-9.-]{0,62}");
    }

    /**
     * Introduces both sides to each other.
     *
     * @return the other side
     * @throws LockstepException {@code pairing-refused} if a person on either side did not confirm, {@code pairing-failed} if the other side broke a rule
     */
    public static Introduction exchange(
            InputStream input, OutputStream output, boolean dialed, Introduction self, Confirmation confirmation)
            throws LockstepException, IOException {
        DataInputStream in = new DataInputStream(input);
        DataOutputStream out = new DataOutputStream(output);
        byte[] nonce = new byte[NONCE_BYTES];
        new SecureRandom().nextBytes(nonce);
        Spoken own = new Spoken(nonce, self);
        Spoken other;
        if (dialed) {
            out.writeInt(MAGIC);
            out.write(hash(own.bytes()));
            out.flush();
            checkMagic(in.readInt());
            other = read(in);
            out.write(own.bytes());
            out.flush();
        } else {
            checkMagic(in.readInt());
            byte[] promised = in.readNBytes(32);
            out.writeInt(MAGIC);
            out.write(own.bytes());
            out.flush();
            other = read(in);
            if (!MessageDigest.isEqual(promised, hash(other.bytes()))) {
                throw failed("the other side did not say what it had promised: somebody may stand between");
            }
        }
        if (other.who.fingerprint.equals(self.fingerprint)) {
            throw new LockstepException(
                    "peer-same-host",
                    "the other side has this host's own fingerprint " + self.fingerprint
                            + ". Nothing was written. Pair with another host; if that one is a clone of this, remove its"
                            + " identity.");
        }
        String code = code(dialed ? own : other, dialed ? other : own);
        boolean same;
        try {
            same = confirmation.same(code, other.who);
        } catch (LockstepException e) {
            out.writeByte(0);
            out.flush();
            throw e;
        }
        out.writeByte(same ? CONFIRMED : 0);
        out.flush();
        if (!same || in.read() != CONFIRMED) {
            throw new LockstepException(
                    "pairing-refused",
                    "the codes were not confirmed on " + (same ? "the other host" : "this host")
                            + ". Nothing was written; if they differed, somebody stands between the hosts.");
        }
        return other.who;
    }

    @SuppressWarnings("ArrayRecordComponent") // never compared
    private record Spoken(byte[] nonce, Introduction who) {
        byte[] bytes() throws IOException {
            java.io.ByteArrayOutputStream bytes = new java.io.ByteArrayOutputStream();
            DataOutputStream out = new DataOutputStream(bytes);
            out.write(nonce);
            text(out, who.name);
            out.writeShort(who.port);
            text(out, who.fingerprint);
            return bytes.toByteArray();
        }

        private static void text(DataOutputStream out, String text) throws IOException {
            byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
            out.writeShort(bytes.length);
            out.write(bytes);
        }
    }

    private static Spoken read(DataInputStream in) throws LockstepException, IOException {
        byte[] nonce = new byte[NONCE_BYTES];
        in.readFully(nonce);
        Introduction who = new Introduction(text(in), in.readUnsignedShort(), text(in));
        if (!isName(who.name) || !who.fingerprint.matches("sha256:[0-9a-f]{64}") || who.port == 0) {
            throw failed("the other side's introduction is none");
        }
        return new Spoken(nonce, who);
    }

    private static String text(DataInputStream in) throws LockstepException, IOException {
        int length = in.readUnsignedShort();
        if (length > TEXT_BYTES_MAX) {
            throw failed("a text of " + length + " bytes > " + TEXT_BYTES_MAX + " came");
        }
        byte[] bytes = new byte[length];
        in.readFully(bytes);
        return new String(bytes, StandardCharsets.UTF_8);
    }

    private static void checkMagic(int magic) throws LockstepException {
        if (magic != MAGIC) {
            throw failed(String.format(Locale.ROOT, "magic %08x != %08x", magic, MAGIC));
        }
    }

    private static LockstepException failed(String what) {
        return new LockstepException(
                "pairing-failed",
                what + ". Nothing was written. Run `lockstep pair` of the same version on both hosts.");
    }

    private static String code(Spoken dialing, Spoken listening) throws IOException {
        byte[] first = dialing.bytes();
        byte[] second = listening.bytes();
        byte[] both = java.util.Arrays.copyOf(first, first.length + second.length);
        System.arraycopy(second, 0, both, first.length, second.length);
        byte[] hash = hash(both);
        long number = 0;
        for (int i = 0; i < 7; i++) {
            number = number << 8 | (hash[i] & 0xFF);
        }
        String digits = String.format(Locale.ROOT, "%06d", number % CODES);
        return digits.substring(0, 3) + " " + digits.substring(3);
    }

    private static byte[] hash(byte[] bytes) {
        try {
            return MessageDigest.getInstance("SHA-256").digest(bytes);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every JDK has SHA-256", e);
        }
    }
}
