package io.lockstep.replication.link;

import io.lockstep.replication.LockstepException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.Locale;
import java.util.Set;

/**
 * Which machine an agent runs on, so that a VM is not replicated to the machine that it runs on. Immutable.
 *
 * <p>Each id is a digest: machine-id(5) asks that it be not shown to the network. Empty is an id that the machine does not have or does not
 * tell; it is equal to none. Two machines are the same if any of their ids is: a clone of an installation has its original's machine-id, and
 * systemd says of such a pair that it is broken.
 *
 * @param machineId of the installation, machine-id(5)
 * @param bootId of this boot, {@code /proc/sys/kernel/random/boot_id}; the same in every container of a machine
 * @param productUuid of the board, SMBIOS type 1; readable by root alone
 * @param sameHostForTesting whether its operator allows peers on the same machine; it counts if both do
 */
public record HostIdentity(String machineId, String bootId, String productUuid, boolean sameHostForTesting) {
    /** Tells nothing. */
    public static final HostIdentity UNKNOWN = new HostIdentity("", "", "", false);

    /** What boards say whose maker has set nothing. */
    private static final Set<String> UNSET = Set.of(
            "00000000-0000-0000-0000-000000000000",
            "ffffffff-ffff-ffff-ffff-ffffffffffff",
            "03000200-0400-0500-0006-000700080009",
            "not settable",
            "not present",
            "uninitialized");

    /** Enough that two of all machines do not collide. */
    private static final int DIGEST_BYTES = 16;

    /** This machine. */
    public static HostIdentity current(boolean sameHostForTesting) {
        return of(Path.of("/"), sameHostForTesting);
    }

    /** @param root above {@code etc}, {@code proc} and {@code sys} */
    static HostIdentity of(Path root, boolean sameHostForTesting) {
        return new HostIdentity(
                digest("machine-id", root.resolve("etc/machine-id")),
                digest("boot-id", root.resolve("proc/sys/kernel/random/boot_id")),
                digest("product-uuid", root.resolve("sys/class/dmi/id/product_uuid")),
                sameHostForTesting);
    }

    private static String digest(String kind, Path file) {
        try {
            String text = Files.readString(file).strip().toLowerCase(Locale.ROOT);
            if (text.isEmpty() || UNSET.contains(text)) {
                return "";
            }
            byte[] bytes = MessageDigest.getInstance("SHA-256")
                    .digest(("lockstep " + kind + " " + text).getBytes(StandardCharsets.UTF_8));
            return HexFormat.of().formatHex(bytes, 0, DIGEST_BYTES);
        } catch (IOException e) {
            return "";
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every JDK has SHA-256", e);
        }
    }

    /**
     * Makes sure that the other side is another machine.
     *
     * @throws LockstepException {@code peer-same-host}, naming the id
     */
    public void requireOtherThan(HostIdentity primary) throws LockstepException {
        if (sameHostForTesting && primary.sameHostForTesting) {
            return;
        }
        refuse("boot-id", bootId, primary.bootId, "This is one and the same running machine.");
        refuse(
                "SMBIOS UUID",
                productUuid,
                primary.productUuid,
                "If these are two machines, their boards have one UUID: give one of them another.");
        refuse(
                "machine-id",
                machineId,
                primary.machineId,
                "If these are two machines, one is a clone: remove its /etc/machine-id, run systemd-machine-id-setup, and"
                        + " reboot it.");
    }

    private static void refuse(String kind, String own, String primary, String cure) throws LockstepException {
        if (!own.isEmpty() && own.equals(primary)) {
            throw new LockstepException(
                    "peer-same-host",
                    "The peer's " + kind + " == the primary's: a replica on the machine of its VM dies with it. " + cure
                            + " To try lockstep on one machine, start both agents with --same-host-for-testing.");
        }
    }
}
