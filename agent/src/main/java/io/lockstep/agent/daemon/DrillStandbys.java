package io.lockstep.agent.daemon;

import io.lockstep.agent.config.AgentConfig;
import io.lockstep.replication.DirectoryTree;
import io.lockstep.replication.LockstepException;
import io.lockstep.replication.RamBlock;
import io.lockstep.replication.ReplicatedDisk;
import io.lockstep.replication.VmDirectory;
import io.lockstep.replication.hypervisor.DrillCommandLine;
import io.lockstep.replication.hypervisor.QemuDrill;
import io.lockstep.replication.hypervisor.QemuVersion;
import io.lockstep.replication.hypervisor.StandbyCommandLine;
import io.lockstep.replication.hypervisor.StandbySpec;
import io.lockstep.replication.link.SessionHello;
import io.lockstep.replication.replica.DrillFactory;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Makes the QEMUs of drills, as the configuration wants standbys. Thread-safe. */
final class DrillStandbys implements DrillFactory {
    private static final Logger LOG = LoggerFactory.getLogger(DrillStandbys.class);

    private final AgentConfig config;
    private final Path directory;

    /** @param directory in which each VM's drill gets its own */
    DrillStandbys(AgentConfig config, Path directory) {
        this.config = config;
        this.directory = directory;
    }

    @Override
    public Path directory(String vm) {
        return directory.resolve(VmDirectory.encode(vm));
    }

    @Override
    public QemuDrill spawn(SessionHello hello, List<Path> memoryFiles, List<Path> diskSockets)
            throws LockstepException {
        Path own = directory(hello.vmName());
        List<Path> mapped = new ArrayList<>();
        hello.ramBlocks().stream().filter(RamBlock::main).forEach(block -> mapped.add(memoryFiles.get(block.index())));
        // The sockets stand for the images until the command line is that of a drill.
        List<Path> files = new ArrayList<>(memoryFiles);
        files.addAll(diskSockets);
        StandbyCommandLine standby = Standbys.commandLine(
                config, hello.vmName(), own, hello.commandLine(), hello.ramBlocks(), hello.disks(), files);
        Map<String, Path> disks = new LinkedHashMap<>();
        List<ReplicatedDisk> replicated = hello.disks();
        for (int i = 0; i < replicated.size(); i++) {
            disks.put(diskSockets.get(i).toString(), diskSockets.get(i));
        }
        return QemuDrill.spawn(
                new StandbySpec(
                        standby,
                        own,
                        Path.of(hello.workingDirectory()),
                        mapped,
                        (int) hello.qemuUid(),
                        (int) hello.qemuGid(),
                        hello.ramBlocks(),
                        hello.devices(),
                        hello.machineType(),
                        QemuVersion.parse(hello.qemuVersion()),
                        false),
                DrillCommandLine.of(standby, disks));
    }

    @Override
    public void cleanUp() {
        if (!Files.isDirectory(directory)) {
            return;
        }
        try (Stream<Path> left = Files.list(directory)) {
            for (Path drill : left.toList()) {
                LOG.warn("{} is left of a drill of an earlier life: it is ended", drill);
                QemuDrill.endLeftover(drill);
                DirectoryTree.remove(drill);
            }
        } catch (IOException | LockstepException e) {
            LOG.warn("what is left of a drill in {} cannot be removed: {}", directory, e.getMessage());
        }
    }
}
