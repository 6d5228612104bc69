package io.lockstep.replication.protection;

import com.fasterxml.jackson.databind.JsonNode;
import io.lockstep.replication.LockstepException;
import io.lockstep.replication.disk.DriveMedia;
import io.lockstep.replication.hypervisor.QmpConnection;
import io.lockstep.replication.network.OutputHold;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;

/**
 * Notices that a device was plugged into the VM: the standby, started with the old command line, could not load the state of the new one.
 * QEMU sends no event for it. A new device makes the device state longer, so a state of another length than the last is a reason to look,
 * before its epoch is committed; besides, it looks once a second. Capture thread only.
 */
final class DeviceWatch {
    private static final long LOOK_NS = 1_000_000_000L;

    private final QmpConnection qmp;
    private final Set<String> known;
    private final DriveMedia media;
    private Set<String> filters = Set.of();
    private int lastStateBytes = -1;
    private long lastLookNs;

    /** Remembers what is there now. */
    DeviceWatch(QmpConnection qmp) throws LockstepException {
        this.qmp = qmp;
        this.known = devices();
        this.media = DriveMedia.of(qmp);
    }

    /**
     * To be called outside of the pause with each new state, before its epoch is committed.
     *
     * @return whether it looked
     * @throws LockstepException {@code vm-changed}, naming what was plugged, unplugged or put in
     */
    boolean check(int stateBytes, long nowNs) throws LockstepException {
        boolean due = stateBytes != lastStateBytes || nowNs - lastLookNs > LOOK_NS;
        lastStateBytes = stateBytes;
        if (!due) {
            return false;
        }
        lastLookNs = nowNs;
        if (!media.files().isEmpty()) {
            media.requireNothingNew(DriveMedia.of(qmp));
        }
        Set<String> present = devices();
        if (!present.equals(known)) {
            TreeSet<String> added = new TreeSet<>(present);
            added.removeAll(known);
            TreeSet<String> removed = new TreeSet<>(known);
            removed.removeAll(present);
            throw new LockstepException(
                    "vm-changed",
                    "the VM's devices changed: plugged " + added + ", unplugged " + removed
                            + ". The standby cannot take its state any more; protect it again, with a standby command line that has"
                            + " these devices.");
        }
        return true;
    }

    /** Filters of ours that were in QEMU at the last look. */
    Set<String> filters() {
        return filters;
    }

    private Set<String> devices() throws LockstepException {
        TreeSet<String> names = new TreeSet<>();
        TreeSet<String> ours = new TreeSet<>();
        for (String path : new String[] {"/machine/peripheral", "/machine/peripheral-anon", "/objects"}) {
            for (JsonNode child : qmp.execute("qom-list", Map.of("path", path))) {
                String name = child.path("name").asText();
                if (OutputHold.owns(name)) {
                    ours.add(name);
                } else if (child.path("type").asText().startsWith("child<")) {
                    names.add(path + "/" + name);
                }
            }
        }
        filters = ours;
        return names;
    }
}
