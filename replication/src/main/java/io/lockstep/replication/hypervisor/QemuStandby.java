package io.lockstep.replication.hypervisor;

import io.lockstep.linux.LinuxException;
import io.lockstep.linux.ProcessIdentity;
import io.lockstep.linux.RemoteMemory;
import io.lockstep.linux.UnixSocket;
import io.lockstep.replication.LockstepException;
import io.lockstep.replication.RamBlock;
import io.lockstep.replication.hypervisor.StandbyRecord.Stage;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.agrona.BufferUtil;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A standby that is a real QEMU. Invariants: a process that was told to run is never ended from here, in this life of the agent or a later
 * one; a process that was not is never left behind unrecorded.
 */
public final class QemuStandby implements Standby {
    /** From start to QMP: QEMU's own start takes 50 to 300 ms, more on a loaded host. */
    private static final long START_TIMEOUT_NS = 15_000_000_000L;
    /** Loading takes about 10 ms; this bounds a QEMU that hangs. */
    private static final long LOAD_TIMEOUT_NS = 10_000_000_000L;

    private static final long POLL_NS = 5_000_000;

    /** At once, then after 20, 60, 100 ... ms: within the first retransmission of a TCP client, and for two seconds after it. */
    private static final Map<String, Integer> ANNOUNCEMENTS =
            Map.of("initial", 20, "step", 40, "max", 500, "rounds", 10);

    private static final Logger LOG = LoggerFactory.getLogger(QemuStandby.class);

    private final StandbySpec spec;
    private final boolean drill;
    private final ProcessIdentity process;
    private final ExitWatch exit;
    private final QmpConnection qmp;
    private final Map<String, HostRamBlock> blocks;
    private final RemoteMemory memory;
    private final Events events = new Events();
    private final Path loadSocket;
    private final QmpCommand incoming;
    private final QmpCommand cont;
    private volatile Stage stage;
    private volatile boolean failed;
    private boolean ordered;

    private QemuStandby(
            StandbySpec spec, boolean drill, ProcessIdentity process, ExitWatch exit, QmpConnection qmp, Stage stage)
            throws LockstepException {
        this.spec = spec;
        this.drill = drill;
        this.process = process;
        this.exit = exit;
        this.qmp = qmp;
        this.stage = stage;
        memory = new RemoteMemory(process.pid());
        loadSocket = StandbyDirectory.qemu(spec.directory()).resolve("load.sock");
        incoming = qmp.prepare("migrate-incoming", qmp.arguments().put("uri", "unix:" + loadSocket));
        cont = qmp.prepare("cont", qmp.arguments());
        qmp.listener(events);
        blocks = check();
        // So that the end of loading is told, not asked for again and again.
        qmp.execute("migrate-set-capabilities", Map.of("capabilities", capabilities(spec)));
        qmp.announce(incoming);
    }

    /** Until the order to run, QEMU neither writes to a shared disk nor locks its image: the primary's has it. */
    private static List<Map<String, Object>> capabilities(StandbySpec spec) {
        return List.of(
                Map.of("capability", "events", "state", true),
                Map.of("capability", "late-block-activate", "state", spec.sharedDisks()));
    }

    /**
     * Starts one. A leftover in its directory is ended first.
     *
     * @throws LockstepException {@code standby-start-failed}, {@code standby-version-differs}, {@code standby-machine-differs},
     *     {@code standby-devices-differ}, {@code standby-ram-differs}, {@code socket-not-qemus}, or {@code standby-promoted} if the leftover was run
     */
    public static QemuStandby spawn(StandbySpec spec) throws LockstepException {
        return spawn(spec, null);
    }

    /**
     * Starts one for a drill: in a network namespace of its own, with the taps of its command line and nothing else in it. It ends with this
     * process's thread, and {@link #close} ends it even if it was run.
     *
     * @throws LockstepException as {@link #spawn(StandbySpec)}
     */
    static QemuStandby spawnForDrill(StandbySpec spec, DrillCommandLine.Made made) throws LockstepException {
        return spawn(spec, made);
    }

    private static QemuStandby spawn(StandbySpec spec, DrillCommandLine.@Nullable Made drill) throws LockstepException {
        endLeftover(spec.directory());
        try {
            Files.deleteIfExists(spec.commandLine().qmpSocket());
        } catch (IOException e) {
            throw new LockstepException(
                    "standby-start-failed",
                    "Cannot remove the old " + spec.commandLine().qmpSocket() + ": " + e.getMessage() + ".",
                    e);
        }
        ProcessIdentity process =
                drill == null ? StandbyProcess.start(spec) : StandbyProcess.startForDrill(spec, drill);
        try {
            new StandbyRecord(process, Stage.WAITING).write(spec.directory());
            StandbyProcess.recorded(spec.directory());
            awaitSocket(spec, process);
            return attach(spec, drill != null, process, Stage.WAITING);
        } catch (LockstepException e) {
            boolean ended = e.code().equals("qmp-closed") && StandbyProcess.endsItself(process);
            StandbyProcess.end(process);
            throw ended ? StandbyProcess.ended(spec.directory(), "at its start") : e;
        }
    }

    /**
     * Whether a standby of an earlier life of the agent, which was about to become the VM, was told to run. If that life ended while it gave the order,
     * the order is given again: it may not have come.
     *
     * @param directory of the standby
     * @param process that the promotion was recorded with; another one was started since if it could not be loaded
     * @return false: its guest has executed nothing. True also if nothing is known of the process
     * @throws LockstepException {@code standby-record}, and what its monitor says; it may be the VM then
     */
    public static boolean toldToRun(Path directory, ProcessIdentity process) throws LockstepException {
        Optional<StandbyRecord> record = StandbyRecord.read(directory);
        Stage stage = record.map(StandbyRecord::stage).orElse(Stage.RUN);
        boolean same = record.isPresent() && record.get().process().equals(process);
        if (same && stage == Stage.STARTING && process.alive()) {
            Path socket = StandbyCommandLine.qmpSocket(directory);
            try (QmpConnection qmp = QmpConnection.open(socket, ListeningProcess.itself(process), LOAD_TIMEOUT_NS)) {
                String status = qmp.execute("query-status").path("status").asText();
                LOG.warn("standby (pid {}) was being told to run when the agent ended: {}", process.pid(), status);
                if (status.equals("paused")) {
                    qmp.execute("cont");
                }
                announce(qmp, process.pid());
            }
            new StandbyRecord(process, Stage.RUN).write(directory);
        }
        return stage.toldToRun();
    }

    /** Ends a standby of an earlier life; refuses if it was told to run. Its directory is there and the agent's own afterwards. */
    public static void endLeftover(Path directory) throws LockstepException {
        StandbyDirectory.create(directory);
        Optional<StandbyRecord> found = StandbyRecord.read(directory);
        Optional<ProcessIdentity> unrecorded = StandbyProcess.unrecorded(directory)
                .filter(started -> found.isEmpty() || !found.get().process().equals(started));
        if (unrecorded.isPresent()) {
            StandbyProcess.end(unrecorded.get());
            StandbyProcess.recorded(directory);
        }
        if (found.isEmpty()) {
            return;
        }
        ProcessIdentity process = found.get().process();
        if (found.get().stage().toldToRun() && process.alive()) {
            throw new LockstepException(
                    "standby-promoted",
                    "The standby in " + directory + " (pid " + process.pid()
                            + ") was promoted and runs the VM. Shut that down first, or protect it from here.");
        }
        StandbyProcess.end(process);
    }

    private static QemuStandby attach(StandbySpec spec, boolean drill, ProcessIdentity process, Stage stage)
            throws LockstepException {
        QmpConnection qmp;
        try {
            qmp = QmpConnection.open(
                    spec.commandLine().qmpSocket(), ListeningProcess.itself(process), START_TIMEOUT_NS);
        } catch (LockstepException e) {
            throw process.alive() ? e : StandbyProcess.ended(spec.directory(), "at its start");
        }
        ExitWatch exit = null;
        try {
            exit = ExitWatch.open(process);
            return new QemuStandby(spec, drill, process, exit, qmp, stage);
        } catch (LockstepException e) {
            qmp.close();
            if (exit != null) {
                exit.close();
            }
            throw e;
        }
    }

    private static void awaitSocket(StandbySpec spec, ProcessIdentity process) throws LockstepException {
        long deadlineNs = System.nanoTime() + START_TIMEOUT_NS;
        while (!Files.exists(spec.commandLine().qmpSocket())) {
            if (!process.alive()) {
                throw StandbyProcess.ended(spec.directory(), "at its start");
            }
            if (System.nanoTime() > deadlineNs) {
                throw new LockstepException(
                        "standby-start-failed",
                        "The standby QEMU opened no QMP socket within " + START_TIMEOUT_NS / 1_000_000
                                + " ms: its log is "
                                + StandbyProcess.log(spec.directory())
                                + "; a standbyCommand needs `-qmp unix:@qmp@,server=on,wait=off`.");
            }
            LockSupport.parkNanos(POLL_NS);
        }
    }

    /** Compares version, machine type, devices and RAM with the primary's. */
    private Map<String, HostRamBlock> check() throws LockstepException {
        if (!qmp.version().equals(spec.version())) {
            throw new LockstepException(
                    "standby-version-differs",
                    "standby QEMU " + qmp.version() + " != primary QEMU " + spec.version()
                            + ". Install the same version on both hosts.");
        }
        String machine = DeviceState.machineType(qmp);
        if (!machine.equals(spec.machineType())) {
            throw new LockstepException(
                    "standby-machine-differs",
                    "standby machine " + machine + " != primary machine " + spec.machineType()
                            + ". Correct the override of the standby's command line.");
        }
        checkDevices();
        List<HostRamBlock> found = new RamBlockFinder(qmp, process.pid()).find();
        long own = found.stream()
                .map(HostRamBlock::block)
                .filter(RamBlock::main)
                .mapToLong(RamBlock::lengthBytes)
                .sum();
        long primary = spec.blocks().stream()
                .filter(RamBlock::main)
                .mapToLong(RamBlock::lengthBytes)
                .sum();
        if (own != primary) {
            throw differing("standby RAM " + own + " != primary RAM " + primary);
        }
        Map<String, HostRamBlock> named =
                found.stream().collect(Collectors.toMap(b -> b.block().name(), Function.identity()));
        for (RamBlock block : spec.blocks()) {
            HostRamBlock there = named.get(block.name());
            if (there == null) {
                throw differing("standby RAM blocks "
                        + named.keySet().stream().sorted().toList() + " != primary RAM block " + block.name());
            }
            // QEMU itself resizes the blobs of its firmware configuration when it loads their state.
            boolean resizable = block.name().startsWith("/rom@");
            if (there.block().lengthBytes() != block.lengthBytes() && !resizable) {
                throw differing("standby RAM block " + block.name() + " "
                        + there.block().lengthBytes() + " != primary RAM block " + block.lengthBytes());
            }
        }
        for (HostRamBlock block : found) {
            if (spec.blocks().stream()
                    .noneMatch(b -> b.name().equals(block.block().name()))) {
                throw differing("standby RAM block " + block.block().name() + " != no such block on the primary");
            }
        }
        return named;
    }

    /** A standby that lacks a device could not load the state of it, and one more is as bad. */
    private void checkDevices() throws LockstepException {
        List<String> own = PluggedDevices.of(qmp);
        List<String> lacks = PluggedDevices.missing(spec.devices(), own);
        List<String> more = PluggedDevices.missing(own, spec.devices());
        if (!lacks.isEmpty() || !more.isEmpty()) {
            throw new LockstepException(
                    "standby-devices-differ",
                    "standby devices != primary devices: the standby lacks " + lacks + " and has besides " + more
                            + ". What was plugged or unplugged since the primary's start is not in its command line: give one"
                            + " in the peer's configuration, vms.NAME.standbyCommand, or start the VM anew.");
        }
    }

    private static LockstepException differing(String what) {
        return new LockstepException(
                "standby-ram-differs", what + ". Correct the override of the standby's command line.");
    }

    @Override
    public boolean ready() {
        return stage == Stage.WAITING && !failed && !exit.exited();
    }

    @Override
    public long pid() {
        return process.pid();
    }

    @Override
    public void writeBlock(String name, long offsetBytes, ByteBuffer content) throws LockstepException {
        expect(Stage.WAITING, "write RAM block " + name);
        HostRamBlock block = blocks.get(name);
        if (block == null) {
            throw differing("standby RAM blocks " + blocks.keySet() + " != primary RAM block " + name);
        }
        if (offsetBytes < 0
                || (block.block().lengthBytes() < offsetBytes + content.remaining() && !name.startsWith("/rom@"))) {
            throw differing("standby RAM block " + name + " " + block.block().lengthBytes() + " != end of content "
                    + (offsetBytes + content.remaining()));
        }
        try {
            // SAFETY: the direct buffer is the caller's, from position to limit; the kernel checks the remote range.
            memory.write(
                    block.hostAddress() + offsetBytes,
                    BufferUtil.address(content) + content.position(),
                    content.remaining());
        } catch (LinuxException e) {
            throw failure("write RAM block " + name, e);
        }
    }

    @Override
    public void load(ByteBuffer deviceState) throws LockstepException {
        expect(Stage.WAITING, "load the device state");
        ByteBuffer stream = DeviceState.loadable(deviceState, spec.machineType());
        try {
            Files.deleteIfExists(loadSocket);
            failed = true;
            qmp.execute(incoming);
            try (UnixSocket socket = UnixSocket.connect(loadSocket.toString())) {
                // The device state is the guest's: its registers, and what passes through its devices.
                ListeningProcess.itself(process).require(socket, loadSocket);
                socket.send(stream, LOAD_TIMEOUT_NS);
            }
            qmp.announce(cont);
            awaitLoaded();
            Files.deleteIfExists(loadSocket);
        } catch (IOException e) {
            throw failure("load the device state", e);
        } catch (LockstepException e) {
            throw process.alive() ? e : StandbyProcess.ended(spec.directory(), "while it loaded the device state");
        }
        failed = false;
        stage = Stage.LOADED;
    }

    private void awaitLoaded() throws LockstepException {
        long deadlineNs = System.nanoTime() + LOAD_TIMEOUT_NS;
        while (!events.migration.equals("completed")) {
            if (events.migration.equals("failed") || System.nanoTime() > deadlineNs) {
                throw new LockstepException(
                        "standby-load-failed",
                        "The standby QEMU did not load the device state (" + events.migration + "): "
                                + StandbyProcess.tail(spec.directory()) + ". Its log is "
                                + StandbyProcess.log(spec.directory()) + ".");
            }
            qmp.await(LOAD_TIMEOUT_NS);
            qmp.receive();
        }
    }

    @Override
    public void recordOrder() throws LockstepException {
        expect(Stage.LOADED, "run");
        new StandbyRecord(process, Stage.STARTING).write(spec.directory());
        ordered = true;
    }

    @Override
    public void run() throws LockstepException {
        expect(Stage.LOADED, "run");
        if (!ordered && !drill) {
            recordOrder();
        }
        stage = Stage.STARTING;
        qmp.send(cont);
        long deadlineNs = System.nanoTime() + LOAD_TIMEOUT_NS;
        while (!events.running) {
            if (qmp.reply() == QmpReply.ERROR || System.nanoTime() > deadlineNs) {
                throw new LockstepException(
                        "standby-run-failed",
                        "The standby QEMU (pid " + pid() + ") does not run: " + qmp.errorText() + ".");
            }
            qmp.await(LOAD_TIMEOUT_NS);
            qmp.receive();
        }
        if (!drill) {
            announce(qmp, pid());
        }
    }

    /** Tells the network where the VM's addresses are now, for every NIC; without it frames go to the dead host until the guest sends. */
    private static void announce(QmpConnection qmp, long pid) {
        try {
            qmp.execute("announce-self", ANNOUNCEMENTS);
        } catch (LockstepException e) {
            LOG.warn("standby (pid {}) runs, but could not announce itself: {}", pid, e.getMessage());
        }
    }

    @Override
    public void release() throws LockstepException {
        if (stage == Stage.STARTING) {
            recordEnded();
        } else {
            expect(Stage.LOADED, "release");
            new StandbyRecord(process, Stage.RUN).write(spec.directory());
        }
        stage = Stage.RUN;
        exit.close();
        qmp.close();
    }

    @Override
    public void close() {
        exit.close();
        qmp.close();
        if (stage.toldToRun() && !drill) {
            if (stage == Stage.STARTING) {
                recordEnded();
            }
            return;
        }
        failed = true;
        try {
            // Its record stays: that it was not told to run may be asked for when it is gone.
            StandbyProcess.end(process);
        } catch (LockstepException e) {
            LOG.warn("standby (pid {}) does not end, the next one's start ends it: {}", pid(), e.getMessage());
        }
    }

    /** The order was given and answered, whatever the answer: no later life of the agent gives it again. */
    private void recordEnded() {
        try {
            new StandbyRecord(process, Stage.RUN).write(spec.directory());
        } catch (LockstepException e) {
            LOG.warn("standby (pid {}) was told to run, and is recorded as being told: {}", pid(), e.getMessage());
        }
    }

    /** The monitor, for a drill's thread, which is this standby's. */
    QmpConnection qmp() {
        return qmp;
    }

    /** What happened since it ran that a guest in order does not do; empty if nothing did. */
    String trouble() {
        return exit.exited() ? "QEMU ended" : events.trouble;
    }

    private void expect(Stage expected, String what) throws LockstepException {
        if (stage != expected || failed) {
            throw new LockstepException(
                    "standby-stage",
                    "Cannot " + what + ": the standby is " + (failed ? "FAILED" : stage) + " != " + expected + ".");
        }
    }

    private LockstepException failure(String what, @Nullable IOException cause) {
        String text = "Cannot " + what + " in the standby (pid " + pid() + ")";
        return cause == null
                ? new LockstepException("standby-failed", text + ".")
                : new LockstepException("standby-failed", text + ": " + cause.getMessage() + ".", cause);
    }

    /** Only what this class waits for. */
    private static final class Events implements QmpEventListener {
        private String migration = "none";
        private boolean running;
        private String trouble = "";

        @Override
        public void stopped(long nowNs) {
            if (running) {
                trouble = "QEMU stopped the guest";
            }
            running = false;
        }

        @Override
        public void resumed(long nowNs) {
            running = true;
        }

        @Override
        public void event(QmpEvent event) {
            switch (event.kind()) {
                case MIGRATION -> migration = event.data().path("status").asText();
                case SHUTDOWN, RESET, GUEST_PANICKED, BLOCK_IO_ERROR -> {
                    if (running) {
                        trouble = "QEMU reported " + event.name();
                    }
                }
                default -> {
                    // Of no concern here.
                }
            }
        }
    }
}
