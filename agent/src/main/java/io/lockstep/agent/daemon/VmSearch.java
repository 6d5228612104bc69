package io.lockstep.agent.daemon;

import io.lockstep.agent.VmOperations.Subject;
import io.lockstep.agent.view.Role;
import io.lockstep.agent.view.VmSelector;
import io.lockstep.agent.view.VmSummary;
import io.lockstep.replication.LockstepException;
import io.lockstep.replication.hypervisor.QemuFinder;
import io.lockstep.replication.hypervisor.QemuProcess;
import io.lockstep.replication.hypervisor.StandbyCommandLine;
import io.lockstep.replication.protection.ProtectedVm;
import io.lockstep.replication.replica.ReplicaHost;
import io.lockstep.replication.replica.ReplicaState;
import io.lockstep.replication.replica.ReplicaStatus;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Which QEMU, or which protection, an operator means. A standby that waits is no VM, whoever's it is. Thread-safe. */
final class VmSearch {
    private final Protections protections;
    private final ReplicaHost replicas;
    private final Path standbys;
    private final Path drills;

    /**
     * @param standbys in which this agent's standbys have their directories
     * @param drills in which its drills have theirs
     */
    VmSearch(Protections protections, ReplicaHost replicas, Path standbys, Path drills) {
        this.drills = drills.toAbsolutePath().normalize();
        this.protections = protections;
        this.replicas = replicas;
        this.standbys = standbys.toAbsolutePath().normalize();
    }

    /** Every QEMU that runs here, and every replica held here. */
    List<VmSummary> vms() {
        List<VmSummary> found = new ArrayList<>();
        for (QemuProcess process : new QemuFinder().all()) {
            if (replicaOf(process) == null && !isDrill(process)) {
                found.add(summary(process));
            }
        }
        for (ReplicaStatus replica : replicas.status()) {
            if (replica.promotion() == null && replica.state() != ReplicaState.EMPTY) {
                found.add(new VmSummary(
                        replica.standbyPid(),
                        replica.vm(),
                        null,
                        replica.ramBytes(),
                        null,
                        0,
                        Role.REPLICA,
                        replica.state().label()));
            }
        }
        return found;
    }

    private VmSummary summary(QemuProcess process) {
        String name = Protections.vmName(process);
        Protections.Held held = protections.find(name);
        boolean ours = held != null
                && held.vm().vm().process().identity().equals(process.identity())
                && !held.vm().ended().isDone();
        String unprotected = ofAnotherAgent(process) ? VmSummary.OTHER_AGENT : "unprotected";
        return new VmSummary(
                process.pid(),
                name,
                process.qmpSockets().isEmpty()
                        ? null
                        : process.qmpSockets().get(0).toString(),
                CommandLineFacts.memoryBytes(process),
                CommandLineFacts.accelerator(process),
                process.uid(),
                ours ? Role.PRIMARY : Role.NONE,
                ours && held != null ? Views.label(held.vm().state()) : unprotected);
    }

    /** As {@link io.lockstep.agent.VmOperations#vmName}. */
    String name(Subject subject, String vm) throws LockstepException {
        VmSelector selector =
                subject == Subject.REPLICA ? new VmSelector(VmSelector.Kind.NAME, vm) : VmSelector.parse(vm);
        try {
            return switch (subject) {
                case QEMU -> Protections.vmName(process(selector));
                case PROTECTION -> shown(selector).ticket().vmName();
                case REPLICA -> replicas.status(vm).vm();
            };
        } catch (LockstepException refusal) {
            String known = known(selector);
            if (known == null) {
                throw new LockstepException("no-such-vm", String.valueOf(refusal.getMessage()), refusal);
            }
            return known;
        }
    }

    /** The name of what is here and meant, whatever it is; null if nothing is. */
    private @Nullable String known(VmSelector selector) {
        for (Protections.Held held : protections.all()) {
            if (means(selector, held.vm())) {
                return held.vm().ticket().vmName();
            }
        }
        for (ReplicaStatus replica : replicas.status()) {
            if (selector.kind() == VmSelector.Kind.NAME && replica.vm().equals(selector.value())) {
                return replica.vm();
            }
        }
        for (QemuProcess process : new QemuFinder().all()) {
            ReplicaStatus replica = replicaOf(process);
            String name = replica == null ? Protections.vmName(process) : replica.vm();
            if (means(selector, name, process)) {
                return name;
            }
        }
        return null;
    }

    /**
     * The QEMU that is meant.
     *
     * @throws LockstepException {@code vm-not-found}, {@code vm-ambiguous}; {@code vm-is-standby} if it waits for a VM that runs elsewhere
     */
    QemuProcess process(VmSelector selector) throws LockstepException {
        QemuFinder finder = new QemuFinder();
        QemuProcess found =
                switch (selector.kind()) {
                    case PID -> finder.findByPid(pid(selector.value()));
                    case NAME -> finder.findByName(selector.value(), p -> replicaOf(p) == null && !ofAnotherAgent(p));
                    case QMP -> finder.findBySocket(socket(selector.value()));
                };
        ReplicaStatus replica = replicaOf(found);
        if (replica != null) {
            throw new LockstepException(
                    "vm-is-standby",
                    found.label() + " is the standby of the replica held here; the VM runs on its primary's host."
                            + " Protect it there, or make it run here with `lockstep failover " + replica.vm() + "`.");
        }
        return found;
    }

    /** What the kernel can have as a process id fits; what does not is no process's. */
    private static long pid(String digits) {
        return digits.matches("[0-9]{1,18}") ? Long.parseLong(digits) : Long.MAX_VALUE;
    }

    /** The protection that is meant, if its capture thread runs. */
    ProtectedVm active(VmSelector selector) throws LockstepException {
        for (ProtectedVm held : protections.active()) {
            if (means(selector, held)) {
                return held;
            }
        }
        String vm = selector.value();
        boolean replica =
                replicas.status().stream().anyMatch(r -> r.vm().equals(vm) && r.state() != ReplicaState.EMPTY);
        throw new LockstepException(
                "not-protected",
                replica
                        ? "VM " + vm
                                + " is not protected by this host, which has a replica of it: see `lockstep status "
                                + vm + "`."
                        : "no VM " + vm + " is protected here: `lockstep vms` lists what runs here, and how.");
    }

    /** A protection that has ended and is still shown; null if there is none. */
    @Nullable
    ProtectedVm ended(VmSelector selector) {
        for (Protections.Held held : protections.all()) {
            if (held.vm().ended().isDone() && means(selector, held.vm())) {
                return held.vm();
            }
        }
        return null;
    }

    /** The protection that is meant, whether it has ended or not. */
    private ProtectedVm shown(VmSelector selector) throws LockstepException {
        ProtectedVm ended = ended(selector);
        return ended == null ? active(selector) : ended;
    }

    private static Path socket(String path) throws LockstepException {
        if (!isPath(path)) {
            throw new LockstepException(
                    "vm-not-found", "a path has no NUL character: no QMP socket can be called that");
        }
        return Path.of(path);
    }

    private static boolean isPath(String text) {
        return text.indexOf(0) < 0;
    }

    private static boolean means(VmSelector selector, ProtectedVm held) {
        return means(selector, held.ticket().vmName(), held.vm().process());
    }

    private static boolean means(VmSelector selector, String name, QemuProcess process) {
        return switch (selector.kind()) {
            case PID -> process.pid() == pid(selector.value());
            case NAME -> name.equals(selector.value());
            case QMP ->
                isPath(selector.value())
                        && process.qmpSockets()
                                .contains(Path.of(selector.value())
                                        .toAbsolutePath()
                                        .normalize());
        };
    }

    /** The replica whose standby this is, by our own record; null if it is none. */
    private @Nullable ReplicaStatus replicaOf(QemuProcess process) {
        for (ReplicaStatus replica : replicas.status()) {
            if (replica.standbyPid() == process.pid() && replica.promotion() == null) {
                return replica;
            }
        }
        return null;
    }

    /** Whether it is one of our drills, which is gone soon. */
    private boolean isDrill(QemuProcess process) {
        Path directory = StandbyCommandLine.startedIn(process);
        return directory != null && drills.equals(directory.getParent());
    }

    /** Whether it was started as a standby by an agent with another root, whose record is not ours to read. */
    private boolean ofAnotherAgent(QemuProcess process) {
        Path directory = StandbyCommandLine.startedIn(process);
        return directory != null && !standbys.equals(directory.getParent());
    }
}
