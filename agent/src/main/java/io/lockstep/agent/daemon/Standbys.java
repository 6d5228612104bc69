package io.lockstep.agent.daemon;

import io.lockstep.agent.config.AgentConfig;
import io.lockstep.linux.ProcessIdentity;
import io.lockstep.replication.LockstepException;
import io.lockstep.replication.RamBlock;
import io.lockstep.replication.ReplicatedDisk;
import io.lockstep.replication.VmDirectory;
import io.lockstep.replication.hypervisor.QemuStandby;
import io.lockstep.replication.hypervisor.QemuVersion;
import io.lockstep.replication.hypervisor.Standby;
import io.lockstep.replication.hypervisor.StandbyCommandLine;
import io.lockstep.replication.hypervisor.StandbySpec;
import io.lockstep.replication.link.SessionHello;
import io.lockstep.replication.replica.StandbyFactory;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Makes standbys of this host as the configuration wants them. Thread-safe. */
final class Standbys implements StandbyFactory {
    private final AgentConfig config;
    private final Path directory;

    /** @param directory in which each VM's standby gets its own */
    Standbys(AgentConfig config, Path directory) {
        this.config = config;
        this.directory = directory;
    }

    /** In which all of them have their directories. */
    Path directory() {
        return directory;
    }

    /** Where a VM's standby has its sockets and its log. */
    Path directory(String vmName) {
        return directory.resolve(VmDirectory.encode(vmName));
    }

    @Override
    public Standby spawn(SessionHello hello, List<Path> blockFiles) throws LockstepException {
        List<Path> memory = new ArrayList<>();
        for (RamBlock block : hello.ramBlocks()) {
            if (block.main()) {
                memory.add(blockFiles.get(block.index()));
            }
        }
        return QemuStandby.spawn(new StandbySpec(
                commandLine(
                        config,
                        hello.vmName(),
                        directory(hello.vmName()),
                        hello.commandLine(),
                        hello.ramBlocks(),
                        hello.disks(),
                        blockFiles),
                directory(hello.vmName()),
                Path.of(hello.workingDirectory()),
                memory,
                (int) hello.qemuUid(),
                (int) hello.qemuGid(),
                hello.ramBlocks(),
                hello.devices(),
                hello.machineType(),
                QemuVersion.parse(hello.qemuVersion()),
                !hello.sharedDisks().isEmpty()));
    }

    @Override
    public boolean toldToRun(String vmName, ProcessIdentity standby) throws LockstepException {
        return QemuStandby.toldToRun(directory(vmName), standby);
    }

    /** The standby's command line, by this host's configuration. */
    static StandbyCommandLine commandLine(
            AgentConfig config,
            String vmName,
            Path directory,
            List<String> primary,
            List<RamBlock> blocks,
            List<ReplicatedDisk> disks,
            List<Path> blockFiles)
            throws LockstepException {
        Map<String, Path> files = new LinkedHashMap<>();
        Map<String, Long> lengths = new LinkedHashMap<>();
        for (RamBlock block : blocks) {
            if (block.main()) {
                files.put(block.name(), blockFiles.get(block.index()));
                lengths.put(block.name(), block.lengthBytes());
            }
        }
        Map<String, Path> images = new LinkedHashMap<>();
        for (int i = 0; i < disks.size(); i++) {
            images.put(disks.get(i).file(), blockFiles.get(blocks.size() + i));
        }
        AgentConfig.Vm vm = config.vm(vmName);
        return StandbyCommandLine.of(new StandbyCommandLine.Request(
                primary,
                directory,
                files,
                lengths,
                images,
                vm.standbyNetdevs(),
                vm.standbyReplacements(),
                vm.standbyCommand()));
    }
}
