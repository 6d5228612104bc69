package io.lockstep.replication.hypervisor;

import io.lockstep.linux.NativeBlock;
import io.lockstep.linux.Pidfd;
import io.lockstep.linux.RemoteMemory;
import io.lockstep.replication.RamBlock;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/** A whole copy of a VM, taken at one stop, and the standby made of it. */
final class Replica implements AutoCloseable {
    private static final long TIMEOUT_NS = 10_000_000_000L;

    final Path directory = Files.createTempDirectory(Path.of("/dev/shm"), "lockstep-test");
    final Map<String, Path> files = new LinkedHashMap<>();
    final Map<String, ByteBuffer> others = new LinkedHashMap<>();
    final ByteBuffer state = ByteBuffer.allocateDirect(1 << 20);
    final List<RamBlock> blocks = new ArrayList<>();
    private final List<HostRamBlock> source;
    private final QmpConnection qmp;
    private final QemuProcess process;
    private final String machineType;
    private final List<String> devices;

    Replica(TestVm vm, QmpConnection qmp) throws Exception {
        this.qmp = qmp;
        process = vm.found();
        source = new RamBlockFinder(qmp, vm.pid()).find();
        machineType = DeviceState.machineType(qmp);
        devices = PluggedDevices.of(qmp);
        // QEMU's user, who may be another, must get through to its own directory below.
        Files.setPosixFilePermissions(directory, PosixFilePermissions.fromString("rwx--x--x"));
        for (HostRamBlock block : source) {
            blocks.add(block.block());
            if (block.block().main()) {
                Path file = directory.resolve("ram" + block.block().index());
                files.put(block.block().name(), file);
                try (FileChannel channel =
                        FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
                    channel.write(ByteBuffer.wrap(new byte[] {0}), block.block().lengthBytes() - 1);
                }
            }
        }
    }

    /** Copies everything at one held save. */
    HeldSave.Outcome copy(Pidfd pidfd) throws Exception {
        try (HeldSave save = new HeldSave(qmp, pidfd)) {
            save.begin();
            if (!save.awaitBoundary(TIMEOUT_NS)) {
                throw new IllegalStateException("no boundary");
            }
            copyMemory();
            state.clear();
            HeldSave.Outcome outcome = save.finish(state, TIMEOUT_NS);
            save.afterResume();
            return outcome;
        }
    }

    void copyMemory() throws Exception {
        RemoteMemory memory = new RemoteMemory(process.pid());
        for (HostRamBlock block : source) {
            NativeBlock copy = new NativeBlock((int) block.block().lengthBytes());
            memory.read(block.hostAddress(), copy.address(), block.block().lengthBytes());
            Path file = files.get(block.block().name());
            if (file == null) {
                others.put(block.block().name(), copy.buffer());
            } else {
                try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
                    channel.write(copy.buffer().duplicate(), 0);
                }
            }
        }
    }

    StandbyCommandLine.Request request(Map<String, String> replacements) {
        Map<String, Long> sizes = new LinkedHashMap<>();
        blocks.forEach(b -> sizes.put(b.name(), b.lengthBytes()));
        return new StandbyCommandLine.Request(
                process.commandLine(),
                directory.resolve("standby"),
                files,
                sizes,
                Map.of(),
                Map.of(),
                replacements,
                List.of());
    }

    StandbySpec spec(Map<String, String> replacements) throws Exception {
        return new StandbySpec(
                StandbyCommandLine.of(request(replacements)),
                directory.resolve("standby"),
                process.workingDirectory(),
                List.copyOf(files.values()),
                process.uid(),
                process.gid(),
                blocks,
                devices,
                machineType,
                qmp.version(),
                false);
    }

    /** Gives the standby what it does not map. */
    void fill(Standby standby) throws Exception {
        for (Map.Entry<String, ByteBuffer> other : others.entrySet()) {
            standby.writeBlock(other.getKey(), 0, other.getValue().duplicate());
        }
    }

    @Override
    public void close() throws IOException {
        try (Stream<Path> all = Files.walk(directory)) {
            for (Path file : all.sorted(Comparator.reverseOrder()).toList()) {
                Files.deleteIfExists(file);
            }
        }
    }
}
