package io.lockstep.agent.config;

import io.lockstep.replication.pipeline.PipelineConfig;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Every key that the configuration file may hold: its table, type, default, range and what the commented default file says of it. */
// Every Object is a String, a Long, a Boolean or a List.of of nothing: immutable.
@SuppressWarnings("ImmutableEnumChecker")
enum ConfigKey {
    LISTEN_ADDRESS(
            "listen",
            "address",
            "0.0.0.0",
            "Address to listen on for primaries; all of this host's, because nobody but a pinned peer is heard."),
    LISTEN_PORT(
            "listen",
            "port",
            7500,
            1,
            65_535,
            "TCP port to listen on for primaries; firewalls between the hosts must let it through."),

    EPOCH_MS(
            "epoch",
            "epochMs",
            25,
            1,
            10_000,
            "Time from one epoch's boundary to the next where no held output decides: protection = \"async\", and VMs without a"
                    + " network, milliseconds. Shorter costs more pauses, longer loses more at a failover."),
    MIN_EPOCH_MS(
            "epoch",
            "minEpochMs",
            2,
            1,
            10_000,
            "Held output ends the epoch at once, but no epoch is shorter than this, milliseconds: a VM that sends without end still runs"
                    + " longer than it pauses."),
    MAX_EPOCH_MS(
            "epoch",
            "maxEpochMs",
            100,
            1,
            60_000,
            "Length of an epoch in which nothing is sent; not below minEpochMs, milliseconds. An idle VM costs ten pauses a second."),
    MAX_PAUSE_SHARE(
            "epoch",
            "maxPauseShare",
            20,
            1,
            100,
            "Most of the time that the VM may stand still in pauses, percent; epochs stretch to keep it."),
    PAUSE_MS_MAX(
            "epoch",
            "pauseMsMax",
            500,
            10,
            60_000,
            "A pause that lasts longer is let go, and its epoch joins the next one, milliseconds."
                    + " Far beyond any epoch's pause, and short enough for the guest's watchdogs."),
    VERIFY_PAUSE_MS_MAX(
            "epoch",
            "verifyPauseMsMax",
            30_000,
            10,
            600_000,
            "The same for the one stop of 'lockstep verify', which reads all of memory, milliseconds."),
    EPOCHS_IN_FLIGHT_MAX(
            "epoch",
            "epochsInFlightMax",
            4,
            1,
            4,
            "Boundaries that may wait for the peer's acknowledgement, count."
                    + " More let a distant peer keep up, and lose more at a failover where output is not held."),
    SCRUB_PAGES_PER_EPOCH(
            "epoch",
            "scrubPagesPerEpoch",
            8,
            0,
            4096,
            "Pages hashed on both sides at each boundary, in turn; 0 turns scrubbing off, count."
                    + " Eight take some microseconds of each pause, and get round 1 GiB in a quarter of an hour."),
    PRE_COPY(
            "epoch",
            "preCopy",
            "on",
            List.of("on", "off"),
            "on sends many written pages ahead of the stop, too, for shorter pauses; off sends each page once an epoch, for fewer bytes."),
    TRACKER(
            "epoch",
            "tracker",
            "auto",
            List.of("auto", "userfaultfd-wp", "soft-dirty", "content-hash"),
            "How written pages are found; auto takes the first that this kernel has."),

    OUTPUT_PROTECTION(
            "output",
            "protection",
            "lockstep",
            List.of("lockstep", "async"),
            "lockstep holds what a VM sends until the peer has the epoch that it belongs to: nothing that a client has seen is ever lost."
                    + " async does not: a failover loses up to one epochMs, and nothing waits for the peer."),
    OUTPUT_LOG_BYTES(
            "output",
            "logBytes",
            8L << 20,
            1L << 20,
            1L << 30,
            "Room for the held frames of each netdev, a power of two; half full, the epoch ends at once; full, frames are dropped as a"
                    + " network does, bytes."),

    RING_SLOTS(
            "pipeline",
            "ringSlots",
            16_384,
            256,
            PipelineConfig.RING_SLOTS_MAX,
            "Page slots of 4 KiB of each protected VM's ring, a power of two; nine sixteenths of it are the most that a short pause copies, and half"
                    + " of it, or of the page cache if that is smaller, the most pages that are read in every pause instead of being watched, count."
                    + " The default is 64 MiB, what a link of 10 Gbit/s carries in 50 ms."),
    PAGE_CACHE_BYTES(
            "pipeline",
            "pageCacheBytes",
            64L << 20,
            1L << 20,
            PipelineConfig.ENCODERS_MAX * PipelineConfig.CACHE_BYTES_MAX,
            "Memory of each protected VM for what was last sent, against which deltas are found; at most 1 GiB for each of"
                    + " encoderThreads, bytes."
                    + " Pages that are written again and again fit into 64 MiB with most loads."),
    ENCODER_THREADS(
            "pipeline",
            "encoderThreads",
            2,
            1,
            PipelineConfig.ENCODERS_MAX,
            "Threads of each protected VM that encode pages, count." + " Two keep a link of 10 Gbit/s busy."),
    SCAN_THREADS(
            "pipeline",
            "scanThreads",
            2,
            1,
            16,
            "Threads that list the written pages of a VM of 1 GiB or more, smaller ones have one, count."
                    + " A scan takes about 0.5 ms a GiB and thread, and is part of each pause."),

    HEARTBEAT_MS(
            "link",
            "heartbeatMs",
            50,
            1,
            10_000,
            "A heartbeat is sent when nothing else was for so long, milliseconds."
                    + " Twenty fit into the default failureTimeoutMs, so that a few that are lost mean nothing."),
    FAILURE_TIMEOUT_MS(
            "link",
            "failureTimeoutMs",
            1000,
            20,
            600_000,
            "Silence after which the other host counts as dead; at least twice heartbeatMs, milliseconds."
                    + " Shorter recovers sooner, and takes a busy host or switch for a dead one more often."),
    AGENT_RESTART_MS(
            "link",
            "agentRestartMs",
            10_000,
            100,
            600_000,
            "How long a peer waits for the primary's agent after its connection ended without a goodbye, milliseconds."
                    + " One that is started again is back after one or two seconds."),
    RECONNECT_MS(
            "link",
            "reconnectMs",
            200,
            10,
            60_000,
            "Time between two attempts to reach a peer, milliseconds."
                    + " Short, because the VM is unprotected meanwhile."),

    REPLICA_DIRECTORY(
            "replica",
            "directory",
            "",
            "Where replica memory is kept, on tmpfs or hugetlbfs; empty: /dev/shm/lockstep, apart for each --root."),
    ACK_LEVEL(
            "replica",
            "ackLevel",
            "memory",
            List.of("memory", "journal"),
            "An epoch is acknowledged when it is in memory, or when it is synced to the journal's disk."
                    + " memory survives the death of one host, journal also that of both at once, and waits for the disk."),

    JOURNAL_BYTES_MAX(
            "journal",
            "bytesMax",
            1L << 30,
            1L << 20,
            1L << 50,
            "Bound of each VM's journal, bytes." + " The oldest epochs are dropped first."),
    JOURNAL_AGE_MS_MAX(
            "journal",
            "ageMsMax",
            600_000,
            1_000,
            366L * 86_400_000,
            "Epochs older than this are dropped, but for the newest, milliseconds."
                    + " Ten minutes are enough to look back at what led to a failover."),
    JOURNAL_SEGMENT_BYTES(
            "journal",
            "segmentBytes",
            64L << 20,
            1L << 20,
            1L << 34,
            "Size of the files that a journal is dropped in; at most a quarter of bytesMax, bytes."),

    FENCE_COMMAND(
            "fence",
            "command",
            "Program and arguments that make sure that the other host cannot run the VM; exit status 0 says that it cannot. Its"
                    + " environment has the VM's name as LOCKSTEP_VM. Empty: silence never promotes a replica by itself."),
    FENCE_TIMEOUT_MS(
            "fence",
            "timeoutMs",
            30_000,
            10,
            600_000,
            "The fence command is ended, and has failed, after this, milliseconds."
                    + " Service processors take seconds, slow ones ten."),

    WATCHDOG_TIMEOUT_MS(
            "watchdog",
            "timeoutMs",
            1000,
            100,
            60_000,
            "An agent whose duty cycles stand still for so long is ended and started again by its supervisor, milliseconds."
                    + " That is lockstep agent --supervised; for systemd the unit's WatchdogSec says it."),

    HARDWARE_SWITCHOVER(
            "hardware",
            "switchover",
            "dry-run",
            List.of("on", "off", "dry-run"),
            "Whether protected VMs are moved to their peers when this host's hardware foretells that it will fail; dry-run only says"
                    + " in the log and in 'lockstep hardware' that they would be."),
    HARDWARE_SWITCHOVER_STATE(
            "hardware",
            "switchoverState",
            "failing",
            List.of("degrading", "failing"),
            "The state of a part from which on VMs are moved and new ones refused. Lost data and lost redundancy make a part failing at"
                    + " once."),
    HARDWARE_REFUSE_NEW(
            "hardware",
            "refuseNew",
            "dry-run",
            List.of("on", "off", "dry-run"),
            "Whether a host in switchoverState refuses VMs that it does not have yet: to protect one, and to take a VM's first replica."),
    HARDWARE_OFFLINE_PAGES(
            "hardware",
            "offlinePages",
            "dry-run",
            List.of("on", "off", "dry-run"),
            "Whether a page with pageErrorsMax corrected errors is taken out of use, its content moved, and one whose data is lost, too, unless"
                    + " it is a VM's."),
    HARDWARE_OFFLINE_CPUS(
            "hardware",
            "offlineCpus",
            "dry-run",
            List.of("on", "off", "dry-run"),
            "Whether a degrading or failing CPU is taken off line and QEMU's threads kept off it; half of the CPUs stay."),
    HARDWARE_RUN_COMMAND(
            "hardware",
            "runCommand",
            "dry-run",
            List.of("on", "off", "dry-run"),
            "Whether command is run when data or redundancy is lost or a part fares worse."),
    HARDWARE_COMMAND(
            "hardware",
            "command",
            "Program and arguments that get the event as JSON on their standard input, with PATH and nothing else in their environment; one"
                    + " runs at a time, 64 wait, more are dropped and told."),
    HARDWARE_COMMAND_TIMEOUT_MS(
            "hardware",
            "commandTimeoutMs",
            30_000,
            10,
            600_000,
            "The command is killed, and has failed, after this, milliseconds."),
    HARDWARE_PAGE_ERRORS_MAX(
            "hardware",
            "pageErrorsMax",
            2,
            1,
            1_000_000,
            "Corrected errors of one page in windowMs that are too many, count."),
    HARDWARE_ROW_ERRORS_MAX(
            "hardware",
            "rowErrorsMax",
            50,
            1,
            1_000_000,
            "Corrected errors of one row in windowMs that are too many, count."),
    HARDWARE_DIMM_ERRORS_MAX(
            "hardware",
            "dimmErrorsMax",
            10,
            1,
            1_000_000,
            "Corrected errors of one memory module in windowMs that are too many, count."),
    HARDWARE_CPU_ERRORS_MAX(
            "hardware",
            "cpuErrorsMax",
            18,
            1,
            1_000_000,
            "Corrected errors of one processor in windowMs that are too many, count."),
    HARDWARE_SOCKET_ERRORS_MAX(
            "hardware",
            "socketErrorsMax",
            100,
            1,
            1_000_000,
            "Corrected memory errors of one processor package in windowMs that are too many, count."),
    HARDWARE_DEVICE_ERRORS_MAX(
            "hardware",
            "deviceErrorsMax",
            1000,
            1,
            1_000_000,
            "Corrected errors of one other part, e.g. a PCIe device, in windowMs that are too many, count."),
    HARDWARE_WINDOW_MS(
            "hardware",
            "windowMs",
            86_400_000,
            60_000,
            366L * 86_400_000,
            "The window in which corrected errors are counted; it slides, milliseconds."),
    HARDWARE_FAST_ROW_ERRORS_MAX(
            "hardware",
            "fastRowErrorsMax",
            8,
            1,
            1_000_000,
            "Corrected errors of one row in fastWindowMs that are too many, count."),
    HARDWARE_FAST_SPREAD_MAX(
            "hardware",
            "fastSpreadMax",
            2,
            2,
            8,
            "Columns of one row, or rows of one bank, with corrected errors in fastWindowMs that are too many, count."),
    HARDWARE_STORM_ERRORS_MAX(
            "hardware",
            "stormErrorsMax",
            1000,
            1,
            1_000_000_000,
            "Corrected errors of one part in fastWindowMs that are a storm, count."),
    HARDWARE_FAST_WINDOW_MS(
            "hardware",
            "fastWindowMs",
            600_000,
            24,
            86_400_000,
            "The window of the fast rules; it slides, milliseconds."),
    HARDWARE_CALM_MS(
            "hardware",
            "calmMs",
            86_400_000,
            60_000,
            366L * 86_400_000,
            "A part to which nothing happened for so long gets one state better; failing ones wait for 'lockstep hardware clear',"
                    + " milliseconds."),
    HARDWARE_CPU_CELSIUS_MAX(
            "hardware",
            "cpuCelsiusMax",
            95,
            0,
            200,
            "Temperature from which on the processor is too hot, degrees; 0: never."),
    HARDWARE_FAN_RPM_MIN(
            "hardware",
            "fanRpmMin",
            300,
            0,
            100_000,
            "A fan that has turned faster and falls below this has failed, revolutions a minute; 0: none has."),
    HARDWARE_CPU_MILLIVOLTS_MIN(
            "hardware",
            "cpuMillivoltsMin",
            0,
            0,
            10_000,
            "Core voltage below which the processor has too little, millivolts; 0: never."),
    HARDWARE_CPU_MILLIVOLTS_MAX(
            "hardware",
            "cpuMillivoltsMax",
            0,
            0,
            10_000,
            "Core voltage above which the processor has too much, millivolts; 0: never."),

    API_READ_ONLY_SOCKET(
            "api",
            "readOnlySocket",
            "on",
            List.of("on", "off"),
            "Whether every user of this host may read the agent's state, at agent-ro.sock."),
    API_GUEST_NAMES(
            "api",
            "guestNames",
            "shown",
            List.of("shown", "hidden"),
            "Whether readers of agent-ro.sock see the names of VMs, or pseudonyms."),

    METRICS_ADDRESS(
            "metrics",
            "address",
            "",
            "Host and port of an address that serves /metrics to Prometheus, e.g. \"127.0.0.1:9751\"; empty: /metrics is served at the"
                    + " agent's sockets alone. Nobody is asked for a password there: VMs' names can be read."),

    DRILL_SCHEDULE(
            "drill",
            "schedule",
            "",
            "When this host drills the replicas that it holds, one after the other: \"03:30\" is every day, \"Sun 03:30\" every week, both in"
                    + " the host's own time; \"6h\" is so long after the last one (s, m, h or d; at least 10s). A drill resumes a second standby"
                    + " from the replica, without a network, and throws it away: it needs the VM's memory once more. Empty: never by"
                    + " itself."),
    DRILL_OVERDUE_MS(
            "drill",
            "overdueMs",
            3_600_000,
            1_000,
            366L * 86_400_000,
            "A drill that did not go well for so long after it was due degrades the VM's state, milliseconds."),

    PEER_ADDRESS("peers.*", "address", null, "Host and port of the peer's agent, e.g. \"host-b:7500\"."),
    PEER_FINGERPRINT("peers.*", "fingerprint", null, "What 'lockstep identity' prints on the peer."),

    VM_EPOCH_MS("vms.*", "epochMs", 0, 0, 10_000, "As epoch.epochMs, for this VM; 0: as there, milliseconds."),
    VM_PRE_COPY("vms.*", "preCopy", "", List.of("", "on", "off"), "As epoch.preCopy, for this VM; empty: as there."),
    VM_TRACKER(
            "vms.*",
            "tracker",
            "",
            List.of("", "auto", "userfaultfd-wp", "soft-dirty", "content-hash"),
            "As epoch.tracker, for this VM; empty: as there."),
    VM_PROTECTION(
            "vms.*",
            "protection",
            "",
            List.of("", "lockstep", "async"),
            "As output.protection, for this VM; empty: as there."),
    VM_PRIORITY(
            "vms.*",
            "priority",
            0,
            -1000,
            1000,
            "When hardware fails, VMs with a higher number are moved first, number."),
    VM_STANDBY_COMMAND(
            "vms.*",
            "standbyCommand",
            "On the peer: the standby's program and arguments, in place of those derived from the primary's, which 'lockstep protect"
                    + " --dry-run' prints. In them @qmp@ stands for the path of its QMP socket, @memory:BLOCK@ for that of the file of"
                    + " a RAM block, e.g. @memory:pc.ram@, and @directory@ for its directory."),
    VM_STANDBY_NETDEVS(
            "vms.*",
            "standbyNetdevs",
            "On the peer: pairs of the id of a netdev that libvirt opened for the primary, and what it is here, alternating, e.g."
                    + " \"hostnet0\", \"tap,ifname=web1,script=no,downscript=no\". The tap must exist, and belong to QEMU's user."),
    VM_STANDBY_REPLACEMENTS(
            "vms.*",
            "standbyReplacements",
            "On the peer: pairs of a text in the primary's command line and what stands for it in the standby's, alternating."),
    DISK_SHARED(
            "vms.*.disks.*",
            "shared",
            false,
            "Whether both hosts see this disk's content (SAN, NFS): then it is not copied, the standby opens the same file, and never without"
                    + " the fence unless QEMU is known to be dead; after a failover it is newer than the memory by up to an epoch. The"
                    + " table is named after the drive, the device, the node or the file in quotes. To be set on both hosts.");

    /** What a value must be. */
    enum Type {
        TEXT,
        INTEGER,
        TEXTS,
        BOOLEAN
    }

    final String table;
    final String key;
    final Type type;
    final @Nullable Object fallback;
    final long min;
    final long max;
    final List<String> choices;
    final String comment;

    /** A text; without a fallback it is required. */
    ConfigKey(String table, String key, @Nullable String fallback, String comment) {
        this(table, key, Type.TEXT, fallback, 0, 0, List.of(), comment);
    }

    ConfigKey(String table, String key, String fallback, List<String> choices, String comment) {
        this(table, key, Type.TEXT, fallback, 0, 0, choices, comment);
    }

    ConfigKey(String table, String key, long fallback, long min, long max, String comment) {
        this(table, key, Type.INTEGER, fallback, min, max, List.of(), comment);
    }

    /** A list of texts, empty unless given. */
    ConfigKey(String table, String key, String comment) {
        this(table, key, Type.TEXTS, List.of(), 0, 0, List.of(), comment);
    }

    /** True or false. */
    ConfigKey(String table, String key, boolean fallback, String comment) {
        this(table, key, Type.BOOLEAN, fallback, 0, 0, List.of(), comment);
    }

    ConfigKey(
            String table,
            String key,
            Type type,
            @Nullable Object fallback,
            long min,
            long max,
            List<String> choices,
            String comment) {
        this.table = table;
        this.key = key;
        this.type = type;
        this.fallback = fallback;
        this.min = min;
        this.max = max;
        this.choices = choices;
        this.comment = comment;
    }

    /** The part of the table's name before the name that the operator chose. */
    String group() {
        return perName() ? table.substring(0, table.length() - 2) : table;
    }

    /** Whether there is one such table for each name. */
    boolean perName() {
        return table.endsWith(".*");
    }
}
