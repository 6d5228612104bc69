package io.lockstep.replication.trace;

/** The steps of an epoch, in this order; the last three are those of the peer and of what comes back from it. */
public enum EpochStage {
    /** The command to stop was sent. */
    STOP(0),
    /** The VM stands still and its I/O is drained. */
    BOUNDARY(1),
    /** The written pages are listed, and protected again. */
    SCANNED(2),
    /** They are read. */
    COPIED(3),
    /** The device state is read, and the VM runs. */
    RESUMED(4),
    /** All of the epoch was handed to the link. */
    SENT(5),
    /** All of it came to the peer, verified. */
    RECEIVED(6),
    /** It stands in the peer's journal: synced, if the acknowledgement says that. */
    JOURNALED(7),
    /** The primary knows that the peer has it. */
    ACKNOWLEDGED(8),
    /** The replica's memory is this epoch. */
    APPLIED(9);

    /** How many there are. */
    public static final int COUNT = 10;

    private final int code;

    EpochStage(int code) {
        this.code = code;
    }

    /** Its place in this order, from 0. */
    public int code() {
        return code;
    }
}
