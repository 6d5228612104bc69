package io.lockstep.agent.config;

import io.lockstep.agent.AgentPaths;
import io.lockstep.agent.config.AgentConfig.Epoch;
import io.lockstep.replication.LockstepException;
import io.lockstep.replication.NearestName;
import io.lockstep.replication.pipeline.PipelineConfig;
import io.lockstep.replication.protection.ProtectionSettings;
import io.lockstep.telemetry.health.HealthRules;
import io.lockstep.telemetry.health.HealthState;
import io.lockstep.telemetry.sensor.SensorLimits;
import java.math.BigInteger;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/** Checks a configuration file against {@link ConfigKey} and makes an {@link AgentConfig} of it; every complaint names its place. */
final class ConfigReader {
    private static final String DISKS = "disks";
    private static final String ON = "on";
    private static final String DISKS_GROUP = ConfigKey.DISK_SHARED.group();
    private static final Pattern FINGERPRINT = Pattern.compile("sha256:[0-9a-f]{64}");
    /** An address of IPv6 stands in brackets, so that its end is not taken for a port. */
    private static final Pattern ADDRESS = Pattern.compile("(?:\\[([0-9A-Fa-f:.%]+)\\]|([^\\s:\\[\\]]+)):([0-9]{1,5})");

    private static final int PORT_MAX = 65_535;

    private final TomlDocument document;
    private final AgentPaths paths;
    private final ConfigTable common = new ConfigTable();
    private final Map<String, ConfigTable> peers = new LinkedHashMap<>();
    private final Map<String, ConfigTable> vms = new LinkedHashMap<>();
    private final Map<String, List<String>> sharedDisks = new LinkedHashMap<>();

    ConfigReader(TomlDocument document, AgentPaths paths) {
        this.document = document;
        this.paths = paths;
    }

    AgentConfig read() throws LockstepException {
        for (Map.Entry<String, Object> entry : document.tables().entrySet()) {
            readGroup(entry.getKey(), entry.getValue());
        }
        checkCombinations();
        Epoch epoch = new Epoch(
                common.integer(ConfigKey.EPOCH_MS),
                common.integer(ConfigKey.MIN_EPOCH_MS),
                common.integer(ConfigKey.MAX_EPOCH_MS),
                common.integer(ConfigKey.MAX_PAUSE_SHARE),
                common.integer(ConfigKey.PAUSE_MS_MAX),
                common.integer(ConfigKey.VERIFY_PAUSE_MS_MAX),
                common.integer(ConfigKey.EPOCHS_IN_FLIGHT_MAX),
                common.integer(ConfigKey.SCRUB_PAGES_PER_EPOCH),
                common.text(ConfigKey.PRE_COPY).equals(ON),
                common.text(ConfigKey.TRACKER));
        AgentConfig.Output output = new AgentConfig.Output(
                common.text(ConfigKey.OUTPUT_PROTECTION), common.integer(ConfigKey.OUTPUT_LOG_BYTES));
        return new AgentConfig(
                new AgentConfig.Listen(common.text(ConfigKey.LISTEN_ADDRESS), common.integer(ConfigKey.LISTEN_PORT)),
                epoch,
                output,
                new AgentConfig.Pipeline(
                        common.integer(ConfigKey.RING_SLOTS),
                        common.bytes(ConfigKey.PAGE_CACHE_BYTES),
                        common.integer(ConfigKey.ENCODER_THREADS),
                        common.integer(ConfigKey.SCAN_THREADS)),
                new AgentConfig.Link(
                        common.integer(ConfigKey.HEARTBEAT_MS),
                        common.integer(ConfigKey.FAILURE_TIMEOUT_MS),
                        common.integer(ConfigKey.AGENT_RESTART_MS),
                        common.integer(ConfigKey.RECONNECT_MS)),
                new AgentConfig.Replica(replicaDirectory(), common.text(ConfigKey.ACK_LEVEL)),
                new AgentConfig.Journal(
                        common.bytes(ConfigKey.JOURNAL_BYTES_MAX),
                        common.bytes(ConfigKey.JOURNAL_AGE_MS_MAX),
                        common.bytes(ConfigKey.JOURNAL_SEGMENT_BYTES)),
                new AgentConfig.Fence(
                        common.texts(ConfigKey.FENCE_COMMAND), common.integer(ConfigKey.FENCE_TIMEOUT_MS)),
                new AgentConfig.Watchdog(common.integer(ConfigKey.WATCHDOG_TIMEOUT_MS)),
                hardware(),
                new SensorLimits(
                        common.integer(ConfigKey.HARDWARE_CPU_CELSIUS_MAX),
                        common.integer(ConfigKey.HARDWARE_FAN_RPM_MIN),
                        common.integer(ConfigKey.HARDWARE_CPU_MILLIVOLTS_MIN),
                        common.integer(ConfigKey.HARDWARE_CPU_MILLIVOLTS_MAX)),
                api(),
                drill(),
                peers(),
                vms(epoch, output));
    }

    private AgentConfig.Api api() throws LockstepException {
        String address = common.text(ConfigKey.METRICS_ADDRESS);
        HostAndPort metrics =
                address.isEmpty() ? new HostAndPort("", 0) : hostAndPort(place(ConfigKey.METRICS_ADDRESS), address);
        return new AgentConfig.Api(
                common.text(ConfigKey.API_READ_ONLY_SOCKET).equals(ON),
                common.text(ConfigKey.API_GUEST_NAMES).equals("hidden"),
                metrics.host,
                metrics.port);
    }

    private AgentConfig.Drill drill() throws LockstepException {
        String text = common.text(ConfigKey.DRILL_SCHEDULE);
        DrillSchedule schedule = DrillSchedule.parse(text);
        if (schedule == null) {
            throw wrong(
                    place(ConfigKey.DRILL_SCHEDULE),
                    "schedule \"" + text
                            + "\" is none of \"HH:MM\", \"Sun HH:MM\" and a length such as \"6h\" of at least 10s"
                            + " and at most 366d");
        }
        return new AgentConfig.Drill(schedule, common.bytes(ConfigKey.DRILL_OVERDUE_MS));
    }

    private AgentConfig.Hardware hardware() {
        HealthState state = common.text(ConfigKey.HARDWARE_SWITCHOVER_STATE).equals("failing")
                ? HealthState.FAILING
                : HealthState.DEGRADING;
        return new AgentConfig.Hardware(
                common.text(ConfigKey.HARDWARE_SWITCHOVER),
                state,
                common.text(ConfigKey.HARDWARE_REFUSE_NEW),
                common.text(ConfigKey.HARDWARE_OFFLINE_PAGES),
                common.text(ConfigKey.HARDWARE_OFFLINE_CPUS),
                common.text(ConfigKey.HARDWARE_RUN_COMMAND),
                common.texts(ConfigKey.HARDWARE_COMMAND),
                common.integer(ConfigKey.HARDWARE_COMMAND_TIMEOUT_MS),
                new HealthRules(
                        common.integer(ConfigKey.HARDWARE_PAGE_ERRORS_MAX),
                        common.integer(ConfigKey.HARDWARE_ROW_ERRORS_MAX),
                        common.integer(ConfigKey.HARDWARE_DIMM_ERRORS_MAX),
                        common.integer(ConfigKey.HARDWARE_CPU_ERRORS_MAX),
                        common.integer(ConfigKey.HARDWARE_SOCKET_ERRORS_MAX),
                        common.integer(ConfigKey.HARDWARE_DEVICE_ERRORS_MAX),
                        common.bytes(ConfigKey.HARDWARE_WINDOW_MS),
                        common.integer(ConfigKey.HARDWARE_FAST_ROW_ERRORS_MAX),
                        common.integer(ConfigKey.HARDWARE_FAST_SPREAD_MAX),
                        common.integer(ConfigKey.HARDWARE_STORM_ERRORS_MAX),
                        common.bytes(ConfigKey.HARDWARE_FAST_WINDOW_MS),
                        common.bytes(ConfigKey.HARDWARE_CALM_MS)));
    }

    private void readGroup(String group, Object value) throws LockstepException {
        Set<String> groups = Arrays.stream(ConfigKey.values())
                .map(ConfigKey::group)
                .filter(name -> !name.equals(DISKS_GROUP))
                .collect(Collectors.toCollection(LinkedHashSet::new));
        if (!groups.contains(group)) {
            throw wrong(
                    List.of(group),
                    (value instanceof Map ? "unknown table [" + group + "]" : "unknown key " + group)
                            + "; the nearest is [" + NearestName.of(group, groups) + "]");
        }
        Map<?, ?> table = table(List.of(group), value);
        List<ConfigKey> keys = Arrays.stream(ConfigKey.values())
                .filter(key -> key.group().equals(group))
                .toList();
        if (!keys.get(0).perName()) {
            readTable(List.of(group), table, keys, common);
            return;
        }
        for (Map.Entry<?, ?> entry : table.entrySet()) {
            String name = (String) entry.getKey();
            ConfigTable values = new ConfigTable();
            Map<?, ?> own = table(List.of(group, name), entry.getValue());
            if (group.equals(ConfigKey.VM_PRIORITY.group())) {
                own = withoutDisks(name, own);
            }
            readTable(List.of(group, name), own, keys, values);
            (group.equals(ConfigKey.PEER_ADDRESS.group()) ? peers : vms).put(name, values);
        }
    }

    /** Reads a VM's tables of its disks, and returns the rest. */
    private Map<?, ?> withoutDisks(String vm, Map<?, ?> table) throws LockstepException {
        Object disks = table.get(DISKS);
        if (disks == null) {
            return table;
        }
        List<ConfigKey> keys = Arrays.stream(ConfigKey.values())
                .filter(key -> key.group().equals(DISKS_GROUP))
                .toList();
        List<String> shared = new ArrayList<>();
        for (Map.Entry<?, ?> entry : table(List.of("vms", vm, DISKS), disks).entrySet()) {
            String disk = (String) entry.getKey();
            List<String> path = List.of("vms", vm, DISKS, disk);
            ConfigTable values = new ConfigTable();
            readTable(path, table(path, entry.getValue()), keys, values);
            if (values.flag(ConfigKey.DISK_SHARED)) {
                shared.add(disk);
            }
        }
        sharedDisks.put(vm, List.copyOf(shared));
        Map<Object, Object> rest = new LinkedHashMap<>(table);
        rest.remove(DISKS);
        return rest;
    }

    private Map<?, ?> table(List<String> path, Object value) throws LockstepException {
        if (value instanceof Map<?, ?> table) {
            return table;
        }
        throw wrong(path, String.join(".", path) + " is a value, and must be a table [" + String.join(".", path) + "]");
    }

    private void readTable(List<String> path, Map<?, ?> table, List<ConfigKey> keys, ConfigTable into)
            throws LockstepException {
        Map<String, ConfigKey> byName = new LinkedHashMap<>();
        keys.forEach(key -> byName.put(key.key, key));
        for (Map.Entry<?, ?> entry : table.entrySet()) {
            String name = (String) entry.getKey();
            List<String> place = new ArrayList<>(path);
            place.add(name);
            ConfigKey key = byName.get(name);
            if (key == null) {
                throw wrong(place, "unknown key " + name + "; the nearest is " + NearestName.of(name, byName.keySet()));
            }
            into.put(key, checked(place, key, entry.getValue()));
        }
        for (ConfigKey key : keys) {
            if (key.fallback == null && !into.has(key)) {
                throw wrong(path, "[" + String.join(".", path) + "] has no " + key.key);
            }
        }
    }

    private Object checked(List<String> place, ConfigKey key, Object value) throws LockstepException {
        switch (key.type) {
            case INTEGER -> {
                if (value instanceof BigInteger big) {
                    throw wrong(place, key.key + " " + big + " is not in " + key.min + ".." + key.max);
                }
                if (!(value instanceof Long number)) {
                    throw wrong(place, key.key + " is not an integer: " + written(value));
                }
                if (number < key.min || number > key.max) {
                    throw wrong(place, key.key + " " + number + " is not in " + key.min + ".." + key.max);
                }
            }
            case TEXT -> {
                if (!(value instanceof String text)) {
                    throw wrong(place, key.key + " is not a text in quotes: " + value);
                }
                if (!key.choices.isEmpty() && !key.choices.contains(text)) {
                    throw wrong(
                            place,
                            key.key + " \"" + text + "\" is none of "
                                    + key.choices.stream()
                                            .filter(choice -> !choice.isEmpty())
                                            .collect(Collectors.joining(", ")));
                }
            }
            case BOOLEAN -> {
                if (!(value instanceof Boolean)) {
                    throw wrong(place, key.key + " is neither true nor false: " + value);
                }
            }
            case TEXTS -> {
                if (!(value instanceof List<?> list) || !list.stream().allMatch(String.class::isInstance)) {
                    throw wrong(place, key.key + " is not an array of texts: " + written(value));
                }
            }
        }
        return value;
    }

    private void checkCombinations() throws LockstepException {
        int heartbeatMs = common.integer(ConfigKey.HEARTBEAT_MS);
        int failureTimeoutMs = common.integer(ConfigKey.FAILURE_TIMEOUT_MS);
        if (failureTimeoutMs < 2 * heartbeatMs) {
            throw wrong(
                    place(ConfigKey.FAILURE_TIMEOUT_MS, ConfigKey.HEARTBEAT_MS),
                    "failureTimeoutMs " + failureTimeoutMs + " < 2 × heartbeatMs " + heartbeatMs
                            + ": one late heartbeat would count as a dead host");
        }
        int minEpochMs = common.integer(ConfigKey.MIN_EPOCH_MS);
        int maxEpochMs = common.integer(ConfigKey.MAX_EPOCH_MS);
        if (minEpochMs > maxEpochMs) {
            throw wrong(
                    place(ConfigKey.MIN_EPOCH_MS, ConfigKey.MAX_EPOCH_MS),
                    "minEpochMs " + minEpochMs + " > maxEpochMs " + maxEpochMs
                            + ": no epoch could be as long as the one and as short as the other");
        }
        int logBytes = common.integer(ConfigKey.OUTPUT_LOG_BYTES);
        if (Integer.bitCount(logBytes) != 1) {
            throw wrong(
                    place(ConfigKey.OUTPUT_LOG_BYTES),
                    "logBytes " + logBytes + " is no power of two; the next one is "
                            + Integer.highestOneBit(logBytes) * 2L);
        }
        int ringSlots = common.integer(ConfigKey.RING_SLOTS);
        if (Integer.bitCount(ringSlots) != 1) {
            throw wrong(
                    place(ConfigKey.RING_SLOTS),
                    "ringSlots " + ringSlots + " is no power of two; the next one is "
                            + Integer.highestOneBit(ringSlots) * 2);
        }
        int scrubPages = common.integer(ConfigKey.SCRUB_PAGES_PER_EPOCH);
        int scrubPagesMax = ProtectionSettings.scrubPagesMax(ringSlots);
        if (scrubPages > scrubPagesMax) {
            throw wrong(
                    place(ConfigKey.SCRUB_PAGES_PER_EPOCH, ConfigKey.RING_SLOTS),
                    "scrubPagesPerEpoch " + scrubPages + " > " + scrubPagesMax + ", for which a ring of ringSlots "
                            + ringSlots + " has room beside the pages of a pause");
        }
        int encoders = common.integer(ConfigKey.ENCODER_THREADS);
        long cacheBytes = common.bytes(ConfigKey.PAGE_CACHE_BYTES);
        if (cacheBytes > encoders * PipelineConfig.CACHE_BYTES_MAX) {
            throw wrong(
                    place(ConfigKey.PAGE_CACHE_BYTES, ConfigKey.ENCODER_THREADS),
                    "pageCacheBytes " + cacheBytes + " > " + encoders * PipelineConfig.CACHE_BYTES_MAX
                            + ", 1 GiB for each of encoderThreads " + encoders);
        }
        int millivoltsMin = common.integer(ConfigKey.HARDWARE_CPU_MILLIVOLTS_MIN);
        int millivoltsMax = common.integer(ConfigKey.HARDWARE_CPU_MILLIVOLTS_MAX);
        if (millivoltsMax > 0 && millivoltsMin >= millivoltsMax) {
            throw wrong(
                    place(ConfigKey.HARDWARE_CPU_MILLIVOLTS_MIN),
                    "cpuMillivoltsMin " + millivoltsMin + " >= cpuMillivoltsMax " + millivoltsMax
                            + ": every voltage would pass a limit");
        }
        if (common.text(ConfigKey.HARDWARE_RUN_COMMAND).equals(ON)
                && common.texts(ConfigKey.HARDWARE_COMMAND).isEmpty()) {
            throw wrong(
                    place(ConfigKey.HARDWARE_RUN_COMMAND),
                    "runCommand is \"on\" and command is empty: name a program, or set runCommand to \"off\"");
        }
        long segmentBytes = common.bytes(ConfigKey.JOURNAL_SEGMENT_BYTES);
        long bytesMax = common.bytes(ConfigKey.JOURNAL_BYTES_MAX);
        if (segmentBytes > bytesMax / 4) {
            throw wrong(
                    place(ConfigKey.JOURNAL_SEGMENT_BYTES, ConfigKey.JOURNAL_BYTES_MAX),
                    "segmentBytes " + segmentBytes + " > a quarter of bytesMax " + bytesMax
                            + ": too little would remain when a segment is dropped");
        }
    }

    private Map<String, AgentConfig.Peer> peers() throws LockstepException {
        Map<String, AgentConfig.Peer> result = new LinkedHashMap<>();
        Map<String, String> byFingerprint = new HashMap<>();
        for (Map.Entry<String, ConfigTable> entry : peers.entrySet()) {
            String name = entry.getKey();
            HostAndPort address = hostAndPort(
                    List.of("peers", name, "address"), entry.getValue().text(ConfigKey.PEER_ADDRESS));
            String fingerprint = entry.getValue().text(ConfigKey.PEER_FINGERPRINT);
            if (!FINGERPRINT.matcher(fingerprint).matches()) {
                throw wrong(
                        List.of("peers", name, "fingerprint"),
                        "fingerprint \"" + fingerprint + "\" is not sha256: and 64 lower-case hexadecimal digits");
            }
            String other = byFingerprint.put(fingerprint, name);
            if (other != null) {
                throw wrong(
                        List.of("peers", name, "fingerprint"),
                        "peer " + name + " has the fingerprint of peer " + other + ": each host has its own");
            }
            result.put(name, new AgentConfig.Peer(address.host, address.port, fingerprint));
        }
        return result;
    }

    private record HostAndPort(String host, int port) {}

    private HostAndPort hostAndPort(List<String> place, String address) throws LockstepException {
        Matcher matcher = ADDRESS.matcher(address);
        int port = matcher.matches() ? Integer.parseInt(matcher.group(3)) : 0;
        if (port < 1 || port > PORT_MAX) {
            throw wrong(place, "address \"" + address + "\" is not a host, a colon and a port in 1..65535");
        }
        String bracketed = matcher.group(1);
        return new HostAndPort(bracketed == null ? matcher.group(2) : bracketed, port);
    }

    /** Memory of replicas must not depend on where the agent was started. */
    private Path replicaDirectory() throws LockstepException {
        String directory = common.text(ConfigKey.REPLICA_DIRECTORY);
        if (directory.isEmpty()) {
            return paths.replicas();
        }
        if (!directory.startsWith("/") || directory.indexOf(0) >= 0) {
            throw wrong(
                    place(ConfigKey.REPLICA_DIRECTORY), "directory \"" + directory + "\" is no path from the root /");
        }
        return Path.of(directory);
    }

    private Map<String, AgentConfig.Vm> vms(Epoch epoch, AgentConfig.Output output) throws LockstepException {
        Map<String, AgentConfig.Vm> result = new LinkedHashMap<>();
        for (Map.Entry<String, ConfigTable> entry : vms.entrySet()) {
            ConfigTable table = entry.getValue();
            int epochMs = table.integer(ConfigKey.VM_EPOCH_MS);
            String preCopy = table.text(ConfigKey.VM_PRE_COPY);
            String tracker = table.text(ConfigKey.VM_TRACKER);
            String protection = table.text(ConfigKey.VM_PROTECTION);
            result.put(
                    entry.getKey(),
                    new AgentConfig.Vm(
                            epochMs == 0 ? epoch.epochMs() : epochMs,
                            preCopy.isEmpty() ? epoch.preCopy() : preCopy.equals(ON),
                            tracker.isEmpty() ? epoch.tracker() : tracker,
                            protection.isEmpty() ? output.protection() : protection,
                            table.integer(ConfigKey.VM_PRIORITY),
                            sharedDisks.getOrDefault(entry.getKey(), List.of()),
                            table.texts(ConfigKey.VM_STANDBY_COMMAND),
                            pairs(entry.getKey(), table, ConfigKey.VM_STANDBY_NETDEVS),
                            pairs(entry.getKey(), table, ConfigKey.VM_STANDBY_REPLACEMENTS)));
        }
        return result;
    }

    private Map<String, String> pairs(String vm, ConfigTable table, ConfigKey key) throws LockstepException {
        List<String> texts = table.texts(key);
        if (texts.size() % 2 != 0) {
            throw wrong(List.of("vms", vm, key.key), key.key + " has " + texts.size() + " texts, and must have pairs");
        }
        Map<String, String> pairs = new LinkedHashMap<>();
        for (int i = 0; i < texts.size(); i += 2) {
            pairs.put(texts.get(i), texts.get(i + 1));
        }
        return pairs;
    }

    /** The first of the keys that the file holds. */
    private List<String> place(ConfigKey... keys) {
        for (ConfigKey key : keys) {
            if (common.has(key)) {
                return List.of(key.table, key.key);
            }
        }
        return List.of();
    }

    private LockstepException wrong(List<String> path, String what) {
        return new LockstepException("configuration-invalid", document.place(path) + ": " + what + ".");
    }

    /** A value as the file has it: a text in its quotes. */
    private static String written(Object value) {
        return value instanceof String text ? "\"" + text + "\"" : String.valueOf(value);
    }
}
