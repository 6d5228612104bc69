package io.lockstep.agent.demo;

import com.fasterxml.jackson.annotation.JsonInclude;
import io.lockstep.agent.view.Quantiles;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What a run measured, as {@code --report} writes it. Times are in milliseconds.
 *
 * @param kill what was killed: {@code vm}, {@code host} or {@code agent}
 * @param epochs committed before the kill
 * @param epochMs from one boundary to the next
 * @param pauseMs from sending the epoch's command to the VM running again
 * @param pauseFloorMs {@code stop}, state to a tmpfs file, {@code cont}, in the same run before protection
 * @param dirtyPages pages of 4 KiB an epoch
 * @param linkBytes sent to the peer before the kill
 * @param journal what the peer's journal held at the kill
 * @param failover null if nothing failed over: the agent alone was killed
 * @param client absent unless the guest has a network
 * @param disks of the guest
 * @param agentRestart absent unless the agent alone was killed
 */
record DemoReport(
        String guest,
        String kill,
        long ramBytes,
        String tracker,
        Copy initialSync,
        long epochs,
        Quantiles epochMs,
        Quantiles pauseMs,
        Median pauseFloorMs,
        MedianAndMax dirtyPages,
        long linkBytes,
        Journal journal,
        @Nullable Failover failover,
        GuestState guestState,
        @JsonInclude(JsonInclude.Include.NON_NULL) @Nullable Client client,
        List<Disk> disks,
        @JsonInclude(JsonInclude.Include.NON_NULL) @Nullable AgentRestart agentRestart) {

    /** The first full copy: bytes of guest memory, and how long it took. */
    record Copy(long bytes, double ms) {}

    /** A median alone. */
    record Median(double p50) {}

    /** A distribution without its tail. */
    record MedianAndMax(double p50, double max) {}

    /** A replica's journal. */
    record Journal(long epochs, long bytes) {}

    /**
     * How the VM came back.
     *
     * @param detectMs from the primary's last sign of life to the peer's decision
     * @param resumeMs from the decision to the guest running
     * @param totalMs from the kill to the guest running, on the demo's clock
     */
    record Failover(double detectMs, double resumeMs, double totalMs) {}

    /**
     * The guest's own account: how many ticks were recomputed and found right before the kill and after it.
     *
     * @param verified whether every page of the guest's arena was read again after the kill, and every state was right
     */
    record GuestState(long ticksBefore, long ticksAfter, boolean verified) {}

    /** A distribution without its maximum. */
    record MedianAndTail(double p50, double p99) {
        static MedianAndTail of(Quantiles quantiles) {
            return new MedianAndTail(quantiles.p50(), quantiles.p99());
        }
    }

    /**
     * A client of the guest's server on one TCP connection, from before protection to after the kill.
     *
     * @param acks requests that the guest acknowledged
     * @param lost of them, that it had forgotten later
     * @param contradicted answers that no order of what was asked explains
     * @param roundTripMs under protection, before the kill; of requests that the guest answers from memory
     * @param gapMs longest round trip from the kill on
     */
    record Client(
            long acks,
            long lost,
            long contradicted,
            MedianAndTail roundTripMs,
            MedianAndTail unprotectedRoundTripMs,
            double gapMs) {}

    /**
     * A disk of the guest.
     *
     * @param name as QEMU knows its drive
     * @param bytes its length
     * @param syncMs from protection's beginning to the peer's image being whole; the memory's first copy runs beside it
     * @param verified whether the peer's image was compared after the kill and found right: against the VM's own image where that lives, else
     *     file system, known content and log
     */
    record Disk(String name, long bytes, double syncMs, boolean verified) {}

    /**
     * The agent's death and return.
     *
     * @param vmPausedMsMax longest gap between two ticks of the guest around the kill, less the usual gap
     * @param fullCopy whether the memory had to be copied whole again
     */
    record AgentRestart(double vmPausedMsMax, boolean fullCopy) {}
}
