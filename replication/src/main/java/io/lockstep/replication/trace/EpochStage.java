package io.lockstep.replication.trace;

/** The steps of an epoch, in this order; the last three are those of the peer and of what comes back from it. */
public enum EpochStage {
    /** The command to stop was sent. */
    STOP(0),
    /** QEMU says that the VM stands still, and its mirrored disks are drained and flushed; left out where QEMU did not say so. */
    STOPPED(1),
    /** The device state begins to come, which it does once it is built: nothing writes the VM's memory any more. */
    BOUNDARY(2),
    /** The written pages are listed, and protected again. */
    SCANNED(3),
    /** They are read. */
    COPIED(4),
    /** QEMU has handed over all of the device state, and begins to start the VM; left out where QEMU did not say so. */
    STATE_READ(5),
    /** QEMU's answer that the VM runs is here. */
    RESUMED(6),
    /** All of the epoch was handed to the link. */
    SENT(7),
    /** All of it came to the peer, verified. */
    RECEIVED(8),
    /** It stands in the peer's journal: synced, if the acknowledgement says that. */
    JOURNALED(9),
    /** The primary knows that the peer has it. */
    ACKNOWLEDGED(10),
    /** The replica's memory is this epoch. */
    APPLIED(11);

    /** How many there are. */
    public static final int COUNT = 12;

    private final int code;

    EpochStage(int code) {
        this.code = code;
    }

    /** Its place in this order, from 0. */
    public int code() {
        return code;
    }
}
