package io.lockstep.replication.link;

import io.lockstep.replication.RamBlock;
import io.lockstep.replication.ReplicatedDisk;
import java.util.List;

/**
 * What a primary says first: the VM, its memory and how it was started. Immutable.
 *
 * @param protocolVersion the newest that may be spoken in the session
 * @param vmIdHigh random at the first protect of this QEMU process, kept over agent restarts
 * @param vmIdLow the other half
 * @param lastAckedEpoch last epoch whose acknowledgement the primary saw; -1: none
 * @param lastSentEpoch last epoch that it began to send; -1: none
 * @param imagesId of the peer's images whose content this primary knows, as a HelloReply named it; 0: none
 * @param failureTimeoutMs silence after which the peer may fence and promote
 * @param agentRestartMs how long the peer waits for a crashed agent
 * @param qemuUid user that QEMU runs as, 0 to 2^32-1
 * @param qemuGid its group
 * @param ramBlocks in the order of their index, 1 to {@link RamBlock#BLOCKS_MAX}
 * @param disks that the peer keeps images of; in the stream disk i is block {@code ramBlocks.size() + i}
 * @param sharedDisks that both hosts see, as messages name them: nothing of them travels, and the other host is fenced before they are used
 * @param vmName QEMU's {@code -name}, or the agent's name of it
 * @param agentVersion the primary's lockstep
 * @param qemuVersion e.g. 7.2.22
 * @param machineType resolved, e.g. {@code pc-q35-7.2}
 * @param commandLine arguments as in {@code /proc/PID/cmdline}, the program first
 * @param workingDirectory QEMU's, for the relative paths in the command line
 * @param devices that the standby must have, each as its type and id, e.g. {@code virtio-rng-pci rng1}
 * @param host where the primary runs
 */
public record SessionHello(
        int protocolVersion,
        long vmIdHigh,
        long vmIdLow,
        long lastAckedEpoch,
        long lastSentEpoch,
        long imagesId,
        long failureTimeoutMs,
        long agentRestartMs,
        long qemuUid,
        long qemuGid,
        List<RamBlock> ramBlocks,
        List<ReplicatedDisk> disks,
        List<String> sharedDisks,
        String vmName,
        String agentVersion,
        String qemuVersion,
        String machineType,
        List<String> commandLine,
        String workingDirectory,
        List<String> devices,
        HostIdentity host) {
    public SessionHello {
        ramBlocks = List.copyOf(ramBlocks);
        disks = List.copyOf(disks);
        sharedDisks = List.copyOf(sharedDisks);
        commandLine = List.copyOf(commandLine);
        devices = List.copyOf(devices);
    }

    /** The same in the oldest version of the protocol, which every agent understands. */
    public SessionHello oldest() {
        return new SessionHello(
                ProtocolVersion.PROTOCOL_VERSION_MIN,
                vmIdHigh,
                vmIdLow,
                lastAckedEpoch,
                lastSentEpoch,
                imagesId,
                failureTimeoutMs,
                agentRestartMs,
                qemuUid,
                qemuGid,
                ramBlocks,
                disks,
                sharedDisks,
                vmName,
                agentVersion,
                qemuVersion,
                machineType,
                commandLine,
                workingDirectory,
                devices,
                host);
    }

    /** Sum of the blocks' lengths. */
    public long ramBytes() {
        return ramBlocks.stream().mapToLong(RamBlock::lengthBytes).sum();
    }
}
