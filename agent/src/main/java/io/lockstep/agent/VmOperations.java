package io.lockstep.agent;

import io.lockstep.agent.events.EventLog;
import io.lockstep.agent.view.AgentView;
import io.lockstep.agent.view.DrillRun;
import io.lockstep.agent.view.DryRun;
import io.lockstep.agent.view.Floor;
import io.lockstep.agent.view.HardwareEventView;
import io.lockstep.agent.view.HardwareSummary;
import io.lockstep.agent.view.HardwareView;
import io.lockstep.agent.view.HostView;
import io.lockstep.agent.view.JournalEpoch;
import io.lockstep.agent.view.PeerView;
import io.lockstep.agent.view.Promotion;
import io.lockstep.agent.view.ProtectRequest;
import io.lockstep.agent.view.ProtectionStatus;
import io.lockstep.agent.view.ReplicaView;
import io.lockstep.agent.view.Switchover;
import io.lockstep.agent.view.Verification;
import io.lockstep.agent.view.VmSelector;
import io.lockstep.agent.view.VmSummary;
import io.lockstep.replication.DutyCycle;
import io.lockstep.replication.LockstepException;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;

/**
 * What the daemon can do, and the API serves. Thread-safe. The views return at once, from figures that the duty cycles publish; none
 * of them waits for a VM or a peer. The verbs block until they are done: the API runs each on a job's thread, at most one per VM. A
 * refusal is a {@link LockstepException}, thrown before anything is touched. Interrupting a verb's thread means: give up, leave things
 * as they were.
 *
 * <p>A {@code vm} that is a string is one that runs here, as {@link VmSelector#parse} reads it; for the verbs of replicas it is the name.
 */
public interface VmOperations {
    /** This agent. */
    AgentView agent();

    /** What changes, as it changes. */
    EventLog events();

    /**
     * Everything that is counted and measured, in Prometheus' text format. Takes no lock that a pause takes.
     *
     * @param names what a VM is called in labels
     * @param more threads that are not the operations' own, by their names
     */
    String metrics(UnaryOperator<String> names, Map<String, DutyCycle> more);

    /** The machine that this agent runs on. */
    HostView host();

    /** The peers of the configuration. */
    List<PeerView> peers();

    /** Every QEMU found here, and every replica held here. Reads /proc: tens of milliseconds. */
    List<VmSummary> vms() throws LockstepException;

    /** The VMs that run here and are protected, or were until a failure. */
    List<ProtectionStatus> protections();

    /** The VMs whose replicas are here. */
    List<ReplicaView> replicas();

    /** What a verb is about, and so which VMs it can mean. */
    enum Subject {
        /** A QEMU that runs here. */
        QEMU,
        /** A VM that this host protects, or did until its protection ended. */
        PROTECTION,
        /** A replica that is held here; it goes by its name alone. */
        REPLICA
    }

    /**
     * What the VM that a verb means is called in all interfaces, however the request names it; also that of a VM that is here, and that the verb
     * will refuse. Waits for nothing, and reads /proc: tens of milliseconds.
     *
     * @param vm as the verb takes it
     * @throws LockstepException {@code no-such-vm}, in the verb's own words, if neither a QEMU nor a protection nor a replica of this host is meant
     */
    String vmName(Subject subject, String vm) throws LockstepException;

    /** What {@link #protect} would do, with all its checks and nothing touched. */
    DryRun dryRun(ProtectRequest request) throws LockstepException;

    /** Protects a VM; returns with the first consistent epoch acknowledged. Reports {@code initial-copy} in bytes. */
    ProtectionStatus protect(ProtectRequest request, Progress progress) throws LockstepException, InterruptedException;

    /** Ends protection, leaves QEMU as it was found, removes the replica. */
    void unprotect(String vm, Progress progress) throws LockstepException, InterruptedException;

    /** Compares every page of every RAM block with the replica, at one stop. */
    Verification verify(String vm, Progress progress) throws LockstepException, InterruptedException;

    /** Moves the VM to its peer as planned; called on the primary. */
    Switchover switchover(String vm, Progress progress) throws LockstepException, InterruptedException;

    /**
     * Switches a protected VM between holding its output and not.
     *
     * @param mode {@code lockstep} or {@code async}
     */
    ProtectionStatus protection(String vm, String mode, Progress progress)
            throws LockstepException, InterruptedException;

    /**
     * Promotes the replica; called on the peer.
     *
     * @param force without fencing, and also when the replica was released: the operator answers for it that the VM cannot run elsewhere
     */
    Promotion failover(String vm, boolean force, Progress progress) throws LockstepException, InterruptedException;

    /**
     * Proves that a failover would work: resumes a second standby from the replica, without a network and with a copy of its disks that is
     * thrown away with it; called on the peer.
     */
    DrillRun drill(String vm, Progress progress) throws LockstepException;

    /**
     * Removes a replica with its journal and its standby, or what is left of one whose VM ran here and has ended. Refused while the primary is
     * connected, and while the VM runs here.
     */
    void discard(String vm) throws LockstepException;

    /**
     * The replica's last epochs, newest first.
     *
     * @param limit 1 to 10,000
     */
    List<JournalEpoch> journal(String vm, int limit) throws LockstepException;

    /** How the hardware of this host fares. */
    HardwareView hardware();

    /** What of it matters to the VMs here. */
    HardwareSummary hardwareSummary();

    /**
     * Feeds recorded hardware events as if they happened now: a drill. What follows is real, but no page and no CPU goes out of use.
     *
     * @param name of the recording, to be shown
     */
    HardwareView.Drill hardwareDrill(String name, byte[] recording) throws LockstepException;

    /**
     * The newest events of this host's hardware after a sequence number, oldest first.
     *
     * @param after 0 or more
     * @param limit 1 to 10,000
     */
    List<HardwareEventView> hardwareEvents(long after, int limit);

    /**
     * Forgets what happened to the parts whose name holds a text, because they were replaced; how many.
     *
     * @param part empty: all
     */
    int clearHardware(String part);

    /**
     * Measures the least pause of a VM that is not protected.
     *
     * @param samples 1 to 1,000
     */
    Floor measureFloor(VmSelector vm, int samples, Progress progress) throws LockstepException, InterruptedException;
}
