package io.lockstep.agent.view;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * One VM that this agent protects.
 *
 * @param vm its name
 * @param tracker {@code userfaultfd-wp}, {@code soft-dirty} or {@code content-hash}
 * @param epoch last one captured; -1 if none
 * @param ackedEpoch last one that the peer acknowledged; -1 if none
 * @param epochMsTarget configured length of an epoch
 * @param epochMs from one boundary to the next
 * @param pauseMs from sending the epoch's command to the VM running again
 * @param recentPauseMs the last 256 of them
 * @param pauseParts what the pauses are made of
 * @param ackMs from the VM running again to the peer's acknowledgement
 * @param dirtyPages pages of 4 KiB that an epoch read: written ones, and those that every hold reads because they are written often
 * @param linkBytes written to the network since protection began, TLS not counted
 * @param disks those that the guest can write
 * @param output what becomes of what the VM sends
 * @param lastError null if there was none
 * @param restarts of this agent while it protected the VM
 * @param resumedWithoutFullCopy sessions that went on from the last acknowledged epoch
 */
public record ProtectionStatus(
        String vm,
        long pid,
        Role role,
        StateView state,
        PeerView peer,
        String tracker,
        long ramBytes,
        int ramBlocks,
        long epoch,
        long ackedEpoch,
        double epochMsTarget,
        Quantiles epochMs,
        Quantiles pauseMs,
        Quantiles recentPauseMs,
        PauseParts pauseParts,
        Quantiles ackMs,
        Quantiles dirtyPages,
        long linkBytes,
        EncodingBytes encoding,
        InitialSync initialSync,
        List<DiskView> disks,
        Scrub scrub,
        OutputView output,
        @Nullable ErrorView lastError,
        int restarts,
        int resumedWithoutFullCopy,
        int fullCopies) {}
