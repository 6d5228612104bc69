package io.lockstep.agent.config;

import io.lockstep.agent.AgentPaths;
import io.lockstep.replication.LockstepException;
import io.lockstep.telemetry.health.HealthRules;
import io.lockstep.telemetry.health.HealthState;
import io.lockstep.telemetry.sensor.SensorLimits;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CoderResult;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/** The configuration in force, checked whole; immutable. */
public record AgentConfig(
        Listen listen,
        Epoch epoch,
        Output output,
        Pipeline pipeline,
        Link link,
        Replica replica,
        Journal journal,
        Fence fence,
        Watchdog watchdog,
        Hardware hardware,
        SensorLimits sensors,
        Api api,
        Drill drill,
        Map<String, Peer> peers,
        Map<String, Vm> vms) {

    /** Most bytes of a configuration file: a thousand VMs with their command lines have about a tenth of it. */
    static final int FILE_BYTES_MAX = 4 << 20;

    /** Where primaries connect to. */
    public record Listen(String address, int port) {}

    /** How epochs are made; see the default file for each. */
    public record Epoch(
            int epochMs,
            int minEpochMs,
            int maxEpochMs,
            int maxPauseShare,
            int pauseMsMax,
            int verifyPauseMsMax,
            int epochsInFlightMax,
            int scrubPagesPerEpoch,
            boolean preCopy,
            String tracker) {}

    /**
     * Network output.
     *
     * @param protection {@code lockstep} or {@code async}
     */
    public record Output(String protection, int logBytes) {}

    /** Sizes of each protected VM's pipeline. */
    public record Pipeline(int ringSlots, long pageCacheBytes, int encoderThreads, int scanThreads) {}

    /** When the other side counts as silent, gone, dead. */
    public record Link(int heartbeatMs, int failureTimeoutMs, int agentRestartMs, int reconnectMs) {}

    /**
     * Replica memory.
     *
     * @param ackLevel {@code memory} or {@code journal}
     */
    public record Replica(Path directory, String ackLevel) {}

    /** Bounds of each VM's journal. */
    public record Journal(long bytesMax, long ageMsMax, long segmentBytes) {}

    /** @param command empty: silence never promotes */
    public record Fence(List<String> command, int timeoutMs) {}

    /** How long an agent may stand still. */
    public record Watchdog(int timeoutMs) {}

    /**
     * What follows from the health of this host's hardware.
     *
     * <p>The actions are {@code on}, {@code off} or {@code dry-run} each.
     *
     * @param switchover of protected VMs to their peers
     * @param switchoverState from which on VMs are moved, and new ones refused
     * @param refuseNew VMs and replicas
     * @param offlinePages that wear out
     * @param offlineCpus that degrade
     * @param runCommand whether {@code command} is run
     * @param command program and arguments; empty: none
     * @param commandTimeoutMs longest run of it
     * @param rules when corrected errors are too many
     */
    public record Hardware(
            String switchover,
            HealthState switchoverState,
            String refuseNew,
            String offlinePages,
            String offlineCpus,
            String runCommand,
            List<String> command,
            int commandTimeoutMs,
            HealthRules rules) {}

    /**
     * What is served besides the management socket.
     *
     * @param metricsHost empty: no address for metrics
     * @param metricsPort 0 without one
     */
    public record Api(boolean readOnlySocket, boolean hideGuestNames, String metricsHost, int metricsPort) {}

    /** When replicas are drilled, and how late that may be. */
    public record Drill(DrillSchedule schedule, long overdueMs) {}

    /** @param fingerprint {@code sha256:} and 64 hexadecimal digits */
    public record Peer(String host, int port, String fingerprint) {}

    /**
     * What differs for one VM.
     *
     * @param epochMs as in {@link Epoch} unless given
     * @param preCopy as in {@link Epoch} unless given
     * @param tracker as in {@link Epoch} unless given
     * @param protection as in {@link Output} unless given
     * @param priority VMs with a higher number are moved first when hardware fails
     * @param standbyCommand empty: derived from the primary's
     * @param standbyNetdevs what stands for a netdev whose descriptor libvirt opened, by its id
     * @param sharedDisks disks that both hosts see, each by device, drive, node or file
     * @param standbyReplacements texts of the primary's command line and what stands for them in the standby's, in file order
     */
    public record Vm(
            int epochMs,
            boolean preCopy,
            String tracker,
            String protection,
            int priority,
            List<String> sharedDisks,
            List<String> standbyCommand,
            Map<String, String> standbyNetdevs,
            Map<String, String> standbyReplacements) {}

    /** The settings of a VM: its own table, or the defaults. */
    public Vm vm(String name) {
        Vm vm = vms.get(name);
        return vm != null
                ? vm
                : new Vm(
                        epoch.epochMs,
                        epoch.preCopy,
                        epoch.tracker,
                        output.protection,
                        0,
                        List.of(),
                        List.of(),
                        Map.of(),
                        Map.of());
    }

    /**
     * Reads the file under a root; where there is none, every key has its default.
     *
     * @throws LockstepException {@code configuration-invalid}, naming file, line, column and what is wrong
     */
    public static AgentConfig load(AgentPaths paths) throws LockstepException {
        Path file = paths.configuration();
        try {
            if (Files.size(file) > FILE_BYTES_MAX) {
                throw new LockstepException(
                        "configuration-invalid",
                        file + " has " + Files.size(file) + " bytes > " + FILE_BYTES_MAX + ".");
            }
            return parse(file.toString(), text(file), paths);
        } catch (NoSuchFileException e) {
            if (Files.isSymbolicLink(file)) {
                throw new LockstepException(
                        "configuration-unreadable",
                        file + " is a link to what is not there. Correct the link, or remove it.",
                        e);
            }
            return parse(file.toString(), "", paths);
        } catch (IOException e) {
            throw new LockstepException(
                    "configuration-unreadable", "cannot read " + file + ": " + e + ". Correct its owner or mode.", e);
        }
    }

    private static String text(Path file) throws IOException, LockstepException {
        ByteBuffer bytes = ByteBuffer.wrap(Files.readAllBytes(file));
        CharBuffer text = CharBuffer.allocate(bytes.remaining());
        CoderResult result = StandardCharsets.UTF_8.newDecoder().decode(bytes, text, true);
        String before = text.flip().toString();
        if (result.isError()) {
            int lineStart = before.lastIndexOf('\n') + 1;
            throw new LockstepException(
                    "configuration-invalid",
                    file + " line " + (before.chars().filter(c -> c == '\n').count() + 1) + ", column "
                            + (before.length() - lineStart + 1) + ": byte 0x"
                            + Integer.toHexString(bytes.get(bytes.position()) & 0xff)
                            + " is no UTF-8. Save the file as UTF-8.");
        }
        return before;
    }

    /** As {@link #load}, from a text. */
    public static AgentConfig parse(String file, String text, AgentPaths paths) throws LockstepException {
        return new ConfigReader(TomlDocument.parse(file, text), paths).read();
    }
}
