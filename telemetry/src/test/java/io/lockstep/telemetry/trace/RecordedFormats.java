package io.lockstep.telemetry.trace;

/**
 * Layouts of events that no virtual machine raises, as the kernel's macros make them: {@code include/ras/ras_event.h} (extlog_mem_event,
 * non_standard_event, arm_event) and {@code include/trace/events/thermal.h} of Linux 6.1, {@code drivers/cxl/core/trace.h} of Linux 6.6; the fields stand in the
 * order of {@code TP_STRUCT__entry}, each at its natural alignment, as {@code __entry} is a C structure.
 */
final class RecordedFormats {
    static final String EXTLOG = "name: extlog_mem_event\nID: 201\n" + Formats.COMMON + """
            \tfield:u32 err_seq;\toffset:8;\tsize:4;\tsigned:0;
            \tfield:u8 etype;\toffset:12;\tsize:1;\tsigned:0;
            \tfield:u8 sev;\toffset:13;\tsize:1;\tsigned:0;
            \tfield:u64 pa;\toffset:16;\tsize:8;\tsigned:0;
            \tfield:u8 pa_mask_lsb;\toffset:24;\tsize:1;\tsigned:0;
            \tfield:guid_t fru_id;\toffset:25;\tsize:16;\tsigned:0;
            \tfield:__data_loc char[] fru_text;\toffset:44;\tsize:4;\tsigned:1;
            \tfield:struct cper_mem_err_compact data;\toffset:48;\tsize:55;\tsigned:0;

            print fmt: "{%d} %s error: %s physical addr: %016llx (mask lsb: %x) %sFRU: %pUl %.20s"
            """;

    static final String CXL_DRAM = "name: cxl_dram\nID: 202\n" + Formats.COMMON + """
            \tfield:__data_loc char[] memdev;\toffset:8;\tsize:4;\tsigned:1;
            \tfield:__data_loc char[] host;\toffset:12;\tsize:4;\tsigned:1;
            \tfield:int log;\toffset:16;\tsize:4;\tsigned:1;
            \tfield:uuid_t hdr_uuid;\toffset:20;\tsize:16;\tsigned:0;
            \tfield:u64 serial;\toffset:40;\tsize:8;\tsigned:0;
            \tfield:u32 hdr_flags;\toffset:48;\tsize:4;\tsigned:0;
            \tfield:u16 hdr_handle;\toffset:52;\tsize:2;\tsigned:0;
            \tfield:u16 hdr_related_handle;\toffset:54;\tsize:2;\tsigned:0;
            \tfield:u64 hdr_timestamp;\toffset:56;\tsize:8;\tsigned:0;
            \tfield:u8 hdr_length;\toffset:64;\tsize:1;\tsigned:0;
            \tfield:u8 hdr_maint_op_class;\toffset:65;\tsize:1;\tsigned:0;
            \tfield:u64 dpa;\toffset:72;\tsize:8;\tsigned:0;
            \tfield:u8 descriptor;\toffset:80;\tsize:1;\tsigned:0;
            \tfield:u8 type;\toffset:81;\tsize:1;\tsigned:0;
            \tfield:u8 transaction_type;\toffset:82;\tsize:1;\tsigned:0;
            \tfield:u8 channel;\toffset:83;\tsize:1;\tsigned:0;
            \tfield:u16 validity_flags;\toffset:84;\tsize:2;\tsigned:0;
            \tfield:u16 column;\toffset:86;\tsize:2;\tsigned:0;
            \tfield:u32 nibble_mask;\toffset:88;\tsize:4;\tsigned:0;
            \tfield:u32 row;\toffset:92;\tsize:4;\tsigned:0;
            \tfield:u8 cor_mask[0x20];\toffset:96;\tsize:32;\tsigned:0;
            \tfield:u8 rank;\toffset:128;\tsize:1;\tsigned:0;
            \tfield:u8 bank_group;\toffset:129;\tsize:1;\tsigned:0;
            \tfield:u8 bank;\toffset:130;\tsize:1;\tsigned:0;
            \tfield:u8 dpa_flags;\toffset:131;\tsize:1;\tsigned:0;

            print fmt: "memdev=%s"
            """;

    static final String CXL_AER = "name: cxl_aer_uncorrectable_error\nID: 203\n" + Formats.COMMON + """
            \tfield:__data_loc char[] memdev;\toffset:8;\tsize:4;\tsigned:1;
            \tfield:__data_loc char[] host;\toffset:12;\tsize:4;\tsigned:1;
            \tfield:u64 serial;\toffset:16;\tsize:8;\tsigned:0;
            \tfield:u32 status;\toffset:24;\tsize:4;\tsigned:0;
            \tfield:u32 first_error;\toffset:28;\tsize:4;\tsigned:0;
            \tfield:u32 header_log[128];\toffset:32;\tsize:512;\tsigned:0;

            print fmt: "memdev=%s"
            """;

    static final String CXL_POISON = "name: cxl_poison\nID: 204\n" + Formats.COMMON + """
            \tfield:__data_loc char[] memdev;\toffset:8;\tsize:4;\tsigned:1;
            \tfield:__data_loc char[] host;\toffset:12;\tsize:4;\tsigned:1;
            \tfield:u64 serial;\toffset:16;\tsize:8;\tsigned:0;
            \tfield:u8 trace_type;\toffset:24;\tsize:1;\tsigned:0;
            \tfield:__data_loc char[] region;\toffset:28;\tsize:4;\tsigned:1;
            \tfield:u64 overflow_ts;\toffset:32;\tsize:8;\tsigned:0;
            \tfield:u64 hpa;\toffset:40;\tsize:8;\tsigned:0;
            \tfield:u64 dpa;\toffset:48;\tsize:8;\tsigned:0;
            \tfield:u32 dpa_length;\toffset:56;\tsize:4;\tsigned:0;

            print fmt: "memdev=%s"
            """;

    static final String NON_STANDARD = "name: non_standard_event\nID: 205\n" + Formats.COMMON + """
            \tfield:char sec_type[16];\toffset:8;\tsize:16;\tsigned:1;
            \tfield:char fru_id[16];\toffset:24;\tsize:16;\tsigned:1;
            \tfield:__data_loc char[] fru_text;\toffset:40;\tsize:4;\tsigned:1;
            \tfield:u8 sev;\toffset:44;\tsize:1;\tsigned:0;
            \tfield:u32 len;\toffset:48;\tsize:4;\tsigned:0;
            \tfield:__data_loc u8[] buf;\toffset:52;\tsize:4;\tsigned:0;

            print fmt: "severity: %d; sec type:%pU"
            """;

    static final String ARM = "name: arm_event\nID: 206\n" + Formats.COMMON + """
            \tfield:u64 mpidr;\toffset:8;\tsize:8;\tsigned:0;
            \tfield:u64 midr;\toffset:16;\tsize:8;\tsigned:0;
            \tfield:u32 running_state;\toffset:24;\tsize:4;\tsigned:0;
            \tfield:u32 psci_state;\toffset:28;\tsize:4;\tsigned:0;
            \tfield:u8 affinity;\toffset:32;\tsize:1;\tsigned:0;

            print fmt: "affinity level: %d; MPIDR: %016llx"
            """;

    static final String THERMAL = "name: thermal_zone_trip\nID: 207\n" + Formats.COMMON + """
            \tfield:__data_loc char[] thermal_zone;\toffset:8;\tsize:4;\tsigned:1;
            \tfield:int id;\toffset:12;\tsize:4;\tsigned:1;
            \tfield:int trip;\toffset:16;\tsize:4;\tsigned:1;
            \tfield:enum thermal_trip_type trip_type;\toffset:20;\tsize:4;\tsigned:0;

            print fmt: "thermal_zone=%s id=%d trip=%d trip_type=%s"
            """;

    private RecordedFormats() {}
}
