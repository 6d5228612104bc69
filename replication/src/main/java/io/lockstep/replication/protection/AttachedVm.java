package io.lockstep.replication.protection;

import io.lockstep.linux.FileRange;
import io.lockstep.linux.LinuxException;
import io.lockstep.linux.Pidfd;
import io.lockstep.replication.LockstepException;
import io.lockstep.replication.disk.DriveMedia;
import io.lockstep.replication.disk.GuestDisk;
import io.lockstep.replication.hypervisor.HostRamBlock;
import io.lockstep.replication.hypervisor.ListeningProcess;
import io.lockstep.replication.hypervisor.Preflight;
import io.lockstep.replication.hypervisor.QemuFacts;
import io.lockstep.replication.hypervisor.QemuFinder;
import io.lockstep.replication.hypervisor.QemuProcess;
import io.lockstep.replication.hypervisor.QmpConnection;
import io.lockstep.replication.hypervisor.RamBlockFinder;
import io.lockstep.replication.memory.DiscardWatch;
import io.lockstep.replication.memory.MemoryRegion;
import io.lockstep.replication.memory.PageIndex;
import io.lockstep.replication.network.NetDevice;
import io.lockstep.replication.network.NetDevices;
import io.lockstep.replication.network.OutputHold;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.Collection;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A running VM that was examined and found fit for protection: its monitor, its memory, its facts. Nothing in it is changed by opening or
 * closing this.
 */
public final class AttachedVm implements AutoCloseable {
    /** A monitor that another client holds never greets us. */
    private static final long QMP_GREETING_NS = 2_000_000_000L;

    private final QemuProcess process;
    private final QmpConnection qmp;
    private final Pidfd pidfd;
    private final QemuFacts facts;
    private final List<HostRamBlock> blocks;
    private volatile List<NetDevice> netDevices;
    private final List<GuestDisk> disks;
    private final PageIndex index;

    private AttachedVm(
            QemuProcess process,
            QmpConnection qmp,
            Pidfd pidfd,
            QemuFacts facts,
            List<HostRamBlock> blocks,
            List<NetDevice> netDevices,
            List<GuestDisk> disks) {
        this.disks = disks;
        this.process = process;
        this.qmp = qmp;
        this.pidfd = pidfd;
        this.facts = facts;
        this.blocks = blocks;
        this.netDevices = netDevices;
        this.index = new PageIndex(blocks.stream()
                .map(b -> new MemoryRegion(b.block(), b.hostAddress()))
                .toList());
    }

    /**
     * Examines a VM whose disks are all its host's own.
     *
     * @throws LockstepException the refusal, with cause and cure
     */
    public static AttachedVm open(QemuProcess process) throws LockstepException {
        return open(process, List.of());
    }

    /**
     * Examines a VM.
     *
     * @param sharedDisks disks that both hosts see, each by device, node or file
     * @throws LockstepException the refusal, with cause and cure
     */
    public static AttachedVm open(QemuProcess process, Collection<String> sharedDisks) throws LockstepException {
        Pidfd pidfd;
        try {
            pidfd = Pidfd.open(process.pid());
        } catch (LinuxException e) {
            throw new LockstepException("vm-not-found", process.label() + " is gone: " + e.getMessage(), e);
        }
        QmpConnection qmp = null;
        boolean done = false;
        try {
            qmp = QmpConnection.open(QemuFinder.qmpSocket(process), ListeningProcess.of(process), QMP_GREETING_NS);
            QemuFacts facts = new Preflight(qmp, process.pid()).check();
            List<HostRamBlock> blocks = new RamBlockFinder(qmp, process.pid()).find();
            List<NetDevice> netDevices = NetDevices.find(qmp, process.pid(), process.commandLine());
            List<GuestDisk> disks = GuestDisk.declareShared(GuestDisk.find(qmp), process.name(), sharedDisks);
            DriveMedia.of(qmp).requireKnownTo(process.commandLine());
            AttachedVm vm = new AttachedVm(process, qmp, pidfd, facts, blocks, netDevices, disks);
            done = true;
            return vm;
        } finally {
            if (!done) {
                pidfd.close();
                if (qmp != null) {
                    qmp.close();
                }
            }
        }
    }

    /** The process. */
    public QemuProcess process() {
        return process;
    }

    /** Its monitor. */
    public QmpConnection qmp() {
        return qmp;
    }

    /** A handle on the process that a recycled pid cannot take over. */
    public Pidfd pidfd() {
        return pidfd;
    }

    /** What the examination found. */
    public QemuFacts facts() {
        return facts;
    }

    /** Its RAM blocks and where they lie. */
    public List<HostRamBlock> blocks() {
        return blocks;
    }

    /** What its NICs are connected to, and whether output can be held there. */
    public List<NetDevice> netDevices() {
        return netDevices;
    }

    /**
     * Asks QEMU itself whether output can be held, by filters that are gone again afterwards; those of an agent before must be.
     *
     * @throws LockstepException what the monitor said
     */
    void tryFilters() throws LockstepException {
        netDevices = OutputHold.tried(qmp, netDevices);
    }

    /** Its writable disks. */
    public List<GuestDisk> disks() {
        return disks;
    }

    /** Those whose content travels. */
    public List<GuestDisk> mirroredDisks() {
        return disks.stream().filter(disk -> !disk.shared()).toList();
    }

    /** Those that the peer sees, too, and opens itself. */
    public List<GuestDisk> sharedDisks() {
        return disks.stream().filter(GuestDisk::shared).toList();
    }

    /** The flat numbering of its pages. */
    public PageIndex index() {
        return index;
    }

    /** Its RAM blocks' sizes, summed. */
    public long ramBytes() {
        return blocks.stream().mapToLong(b -> b.block().lengthBytes()).sum();
    }

    /** The files behind shared blocks. */
    PopulatedPages populatedPages() throws LinuxException {
        @Nullable FileRange[] files = new FileRange[blocks.size()];
        long[] offsets = new long[blocks.size()];
        for (HostRamBlock host : blocks) {
            int i = host.block().index();
            offsets[i] = host.fileOffset();
            if (host.shared() && host.file() != null) {
                files[i] = FileRange.open(host.file(), false);
            }
        }
        return new PopulatedPages(index, files, offsets);
    }

    /** Indexes of the blocks that no file is behind. */
    BitSet privateBlocks() {
        BitSet indexes = new BitSet();
        for (HostRamBlock host : blocks) {
            indexes.set(host.block().index(), !host.shared() && host.file() == null);
        }
        return indexes;
    }

    /** A watch on each shared block, if a device of the VM can discard memory. */
    Discards discards() throws LinuxException {
        List<DiscardWatch> watches = new ArrayList<>();
        if (facts.hasDiscardDevice()) {
            for (HostRamBlock host : blocks) {
                if (host.shared() && host.file() != null) {
                    watches.add(new DiscardWatch(
                            process.pid(),
                            host.file(),
                            host.fileOffset(),
                            index,
                            host.block().index()));
                }
            }
        }
        return new Discards(watches, index.limit());
    }

    @Override
    public void close() {
        qmp.close();
        pidfd.close();
    }
}
