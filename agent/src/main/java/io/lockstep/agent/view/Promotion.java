package io.lockstep.agent.view;

/**
 * How a replica became the VM.
 *
 * @param epoch that it resumed from
 * @param reason {@code vm-died}, {@code host-silent}, {@code switchover}, {@code failover}, {@code forced}, or {@code earlier-decision}: this agent was started
 *     since
 * @param detectMs from the last sign of life of the primary to the decision
 * @param resumeMs from the decision to the guest running
 * @param pid of the QEMU that runs it now
 * @param qmpPath its QMP socket
 * @param atMs when it ran, milliseconds since 1970
 */
public record Promotion(
        long epoch, String reason, double detectMs, double resumeMs, long pid, String qmpPath, long atMs) {}
