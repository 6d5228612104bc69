package io.lockstep.replication.disk;

import com.fasterxml.jackson.databind.JsonNode;
import io.lockstep.replication.LockstepException;
import io.lockstep.replication.hypervisor.QmpConnection;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * What lies in the drives of a VM whose media can be changed while it runs: CDs, and disks that can be taken out. A standby has what the command
 * line names, on a file that both hosts must have. Immutable.
 *
 * @param files by the drive's name; empty if nothing is in it
 */
public record DriveMedia(Map<String, String> files) {
    public DriveMedia {
        files = Map.copyOf(files);
    }

    /** What is in them now. */
    public static DriveMedia of(QmpConnection qmp) throws LockstepException {
        Map<String, String> files = new TreeMap<>();
        for (JsonNode block : qmp.execute("query-block")) {
            if (block.path("removable").asBoolean()) {
                files.put(
                        GuestDisk.device(block),
                        block.path("inserted").path("image").path("filename").asText());
            }
        }
        return new DriveMedia(files);
    }

    /**
     * Refuses a medium that a standby would not have.
     *
     * @throws LockstepException {@code medium-not-in-command-line}
     */
    public void requireKnownTo(List<String> commandLine) throws LockstepException {
        for (Map.Entry<String, String> drive : files.entrySet()) {
            String file = drive.getValue();
            if (!file.isEmpty() && commandLine.stream().noneMatch(argument -> argument.contains(file))) {
                throw new LockstepException(
                        "medium-not-in-command-line",
                        "in drive " + drive.getKey() + " is " + file
                                + ", which was put in while the VM ran: a standby, which is started with QEMU's command line,"
                                + " would not have it. Eject it, or start the VM with it.");
            }
        }
    }

    /**
     * Refuses to go on if something else was put in; that something was taken out does no harm.
     *
     * @throws LockstepException {@code vm-changed}
     */
    public void requireNothingNew(DriveMedia now) throws LockstepException {
        for (Map.Entry<String, String> drive : now.files.entrySet()) {
            String file = drive.getValue();
            String before = files.getOrDefault(drive.getKey(), "");
            if (!file.isEmpty() && !file.equals(before)) {
                throw new LockstepException(
                        "vm-changed",
                        "in drive " + drive.getKey() + " is " + file + " now, in place of "
                                + (before.isEmpty() ? "nothing" : before)
                                + ". The standby does not have it. Eject it and protect the VM again, or start the VM with it.");
            }
        }
    }
}
