package io.lockstep.agent.metrics;

/** Every metric family; the names are part of the interface. Those without the prefix are named as node_exporter and the JVM's exporters do. */
public enum Metric {
    BUILD_INFO("lockstep_build_info", Kind.GAUGE, "1, with the agent's version."),
    UPTIME("lockstep_uptime_seconds", Kind.GAUGE, "Since the daemon started."),
    PROTECTION_STATE("lockstep_protection_state", Kind.GAUGE, "Code of a protected VM's state; 2 is protected."),
    PROTECTED(
            "lockstep_protected", Kind.GAUGE, "1 if the peer holds a committed epoch and gets the next ones, else 0."),
    PAUSE("lockstep_pause_seconds", Kind.HISTOGRAM, "From sending an epoch's command to the VM running again."),
    EPOCH_LENGTH("lockstep_epoch_seconds", Kind.HISTOGRAM, "From one boundary to the next."),
    ACKNOWLEDGE("lockstep_acknowledge_seconds", Kind.HISTOGRAM, "From the boundary to the peer's acknowledgement."),
    DIRTY_PAGES("lockstep_dirty_pages", Kind.HISTOGRAM, "Pages of 4 KiB that were written in an epoch."),
    LAG_SECONDS(
            "lockstep_lag_seconds",
            Kind.HISTOGRAM,
            "From the boundary before an epoch to its acknowledgement: so old was what the peer held."),
    RELEASE("lockstep_release_seconds", Kind.HISTOGRAM, "From an acknowledgement to the last of its frames sent on."),
    EPOCH("lockstep_epoch", Kind.GAUGE, "Last epoch captured."),
    EPOCH_ACKED("lockstep_epoch_acknowledged", Kind.GAUGE, "Last epoch that the peer acknowledged."),
    LAG("lockstep_lag_epochs", Kind.GAUGE, "Epochs captured and not acknowledged."),
    ENCODED_BYTES("lockstep_encoded_bytes_total", Kind.COUNTER, "Bytes of page records, by encoding."),
    UNCHANGED_PAGES(
            "lockstep_unchanged_pages_total", Kind.COUNTER, "Pages written without a change, which are not sent."),
    LINK_BYTES("lockstep_link_sent_bytes_total", Kind.COUNTER, "Written to the link, TLS not counted."),
    LINK_CONNECTED("lockstep_link_connected", Kind.GAUGE, "1 if a session with the peer is open, else 0."),
    OUTPUT_HELD("lockstep_output_held_bytes", Kind.GAUGE, "Network output that waits for an acknowledgement."),
    OUTPUT_FRAMES("lockstep_output_frames_total", Kind.COUNTER, "Frames that the VM sent since protection began."),
    OUTPUT_DROPPED("lockstep_output_dropped_frames_total", Kind.COUNTER, "Frames for which there was no room."),
    SCRUBBED_PAGES("lockstep_scrubbed_pages_total", Kind.COUNTER, "Pages compared with the replica at boundaries."),
    SCRUB_MISMATCHES("lockstep_scrub_mismatches_total", Kind.COUNTER, "Of these, those that differed and were healed."),
    AGENT_RESTARTS("lockstep_agent_restarts_total", Kind.COUNTER, "Restarts of the agent while it protected the VM."),
    FULL_COPIES("lockstep_full_copies_total", Kind.COUNTER, "Full copies of the VM's memory begun."),
    REPLICA_STATE("lockstep_replica_state", Kind.GAUGE, "Code of a replica's state; 2 is protected, 10 promoted."),
    REPLICA_COMMITTED("lockstep_replica_committed_epoch", Kind.GAUGE, "Last whole epoch held."),
    REPLICA_APPLIED("lockstep_replica_applied_epoch", Kind.GAUGE, "Last epoch in the replica's memory."),
    STANDBY_READY("lockstep_replica_standby_ready", Kind.GAUGE, "1 if a QEMU waits to become the VM, else 0."),
    LINK_SILENCE(
            "lockstep_replica_link_silence_seconds",
            Kind.GAUGE,
            "Since the last bytes of the primary; -1 without a session."),
    JOURNAL_EPOCHS("lockstep_journal_epochs", Kind.GAUGE, "Epochs that the journal holds."),
    JOURNAL_BYTES("lockstep_journal_bytes", Kind.GAUGE, "Bytes of the journal."),
    PROMOTIONS("lockstep_promotions_total", Kind.COUNTER, "Replicas promoted here that this agent knows of."),
    DRILL_SECONDS(
            "lockstep_drill_seconds",
            Kind.GAUGE,
            "How long the last drill took, from its begin to everything thrown away; 0: none was made, -1: it failed."),
    DRILL_OK(
            "lockstep_drill_ok",
            Kind.GAUGE,
            "1 if the last drill of the replica went well and none is overdue, else 0; absent while there was none."),
    DRILLS("lockstep_drills_total", Kind.COUNTER, "Drills made since the agent started, by result."),
    DRILL_LAST(
            "lockstep_drill_last_timestamp_seconds",
            Kind.GAUGE,
            "When the last drill ended, seconds since 1970; 0: never."),
    HARDWARE_STATE(
            "lockstep_hardware_health",
            Kind.GAUGE,
            "0 healthy, 1 watch, 2 degrading, 3 failing, 4 failed; by part, and of the host."),
    HARDWARE_ERRORS(
            "lockstep_hardware_errors_total", Kind.COUNTER, "Machine checks and other errors, by part and severity."),
    HARDWARE_SOURCE("lockstep_hardware_source_up", Kind.GAUGE, "1 if a source of events is present, else 0."),
    HARDWARE_SOURCE_EVENTS("lockstep_hardware_source_events_total", Kind.COUNTER, "Events that came from a source."),
    HARDWARE_SOURCE_LOST("lockstep_hardware_source_lost_total", Kind.COUNTER, "Events that a source lost."),
    EDAC_CORRECTABLE("node_edac_correctable_errors_total", Kind.COUNTER, "Total correctable memory errors."),
    EDAC_UNCORRECTABLE("node_edac_uncorrectable_errors_total", Kind.COUNTER, "Total uncorrectable memory errors."),
    EDAC_CSROW_CORRECTABLE(
            "node_edac_csrow_correctable_errors_total",
            Kind.COUNTER,
            "Total correctable memory errors for this csrow."),
    EDAC_CSROW_UNCORRECTABLE(
            "node_edac_csrow_uncorrectable_errors_total",
            Kind.COUNTER,
            "Total uncorrectable memory errors for this csrow."),
    DUTY_CYCLE_AGE(
            "lockstep_duty_cycle_age_seconds",
            Kind.GAUGE,
            "How long a thread's present round has taken; 0 while it waits for work."),
    DUTY_CYCLE_STALLS(
            "lockstep_duty_cycle_stalls_total",
            Kind.COUNTER,
            "Rounds that took a thread longer than 0.2 s (hardware-slow: 5 s) beyond what it waits for by itself."),
    DUTY_CYCLE_STALLED(
            "lockstep_duty_cycle_stalled_seconds_total", Kind.COUNTER, "How long those rounds took, all together."),
    JVM_MEMORY("jvm_memory_used_bytes", Kind.GAUGE, "Used, by area."),
    JVM_THREADS("jvm_threads_current", Kind.GAUGE, "Threads."),
    JVM_GC("jvm_gc_collection_seconds", Kind.SUMMARY, "Collections, by collector."),
    PROCESS_START("process_start_time_seconds", Kind.GAUGE, "Start of the process, seconds since 1970."),
    PROCESS_CPU("process_cpu_seconds_total", Kind.COUNTER, "Processor time used."),
    PROCESS_MEMORY("process_resident_memory_bytes", Kind.GAUGE, "Resident memory."),
    PROCESS_FDS("process_open_fds", Kind.GAUGE, "Open descriptors.");

    /** How a family's samples are to be read. */
    public enum Kind {
        GAUGE,
        COUNTER,
        HISTOGRAM,
        SUMMARY
    }

    final String family;
    final Kind kind;
    final String help;

    Metric(String family, Kind kind, String help) {
        this.family = family;
        this.kind = kind;
        this.help = help;
    }

    /** Its name in queries. */
    public String family() {
        return family;
    }
}
