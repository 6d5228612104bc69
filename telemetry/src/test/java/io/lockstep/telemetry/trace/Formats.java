package io.lockstep.telemetry.trace;

/** Formats as Linux 6.1 of Debian 12 shows them; the offsets are those that its {@code format} files name. */
final class Formats {
    static final String COMMON = """
            format:
            \tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;
            \tfield:unsigned char common_flags;\toffset:2;\tsize:1;\tsigned:0;
            \tfield:unsigned char common_preempt_count;\toffset:3;\tsize:1;\tsigned:0;
            \tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;

            """;

    static final String MCE_RECORD = "name: mce_record\nID: 101\n" + COMMON + """
            \tfield:u64 mcgcap;\toffset:8;\tsize:8;\tsigned:0;
            \tfield:u64 mcgstatus;\toffset:16;\tsize:8;\tsigned:0;
            \tfield:u64 status;\toffset:24;\tsize:8;\tsigned:0;
            \tfield:u64 addr;\toffset:32;\tsize:8;\tsigned:0;
            \tfield:u64 misc;\toffset:40;\tsize:8;\tsigned:0;
            \tfield:u64 synd;\toffset:48;\tsize:8;\tsigned:0;
            \tfield:u64 ipid;\toffset:56;\tsize:8;\tsigned:0;
            \tfield:u64 ip;\toffset:64;\tsize:8;\tsigned:0;
            \tfield:u64 tsc;\toffset:72;\tsize:8;\tsigned:0;
            \tfield:u64 walltime;\toffset:80;\tsize:8;\tsigned:0;
            \tfield:u32 cpu;\toffset:88;\tsize:4;\tsigned:0;
            \tfield:u32 cpuid;\toffset:92;\tsize:4;\tsigned:0;
            \tfield:u32 apicid;\toffset:96;\tsize:4;\tsigned:0;
            \tfield:u32 socketid;\toffset:100;\tsize:4;\tsigned:0;
            \tfield:u8 cs;\toffset:104;\tsize:1;\tsigned:0;
            \tfield:u8 bank;\toffset:105;\tsize:1;\tsigned:0;
            \tfield:u8 cpuvendor;\toffset:106;\tsize:1;\tsigned:0;

            print fmt: "CPU: %d, MCGc/s: %llx/%llx, MC%d: %016Lx", REC->cpu, REC->mcgcap, REC->mcgstatus
            """;

    static final String MC_EVENT = "name: mc_event\nID: 102\n" + COMMON + """
            \tfield:unsigned int error_type;\toffset:8;\tsize:4;\tsigned:0;
            \tfield:__data_loc char[] msg;\toffset:12;\tsize:4;\tsigned:1;
            \tfield:__data_loc char[] label;\toffset:16;\tsize:4;\tsigned:1;
            \tfield:u16 error_count;\toffset:20;\tsize:2;\tsigned:0;
            \tfield:u8 mc_index;\toffset:22;\tsize:1;\tsigned:0;
            \tfield:s8 top_layer;\toffset:23;\tsize:1;\tsigned:1;
            \tfield:s8 middle_layer;\toffset:24;\tsize:1;\tsigned:1;
            \tfield:s8 lower_layer;\toffset:25;\tsize:1;\tsigned:1;
            \tfield:long address;\toffset:32;\tsize:8;\tsigned:1;
            \tfield:u8 grain_bits;\toffset:40;\tsize:1;\tsigned:0;
            \tfield:long syndrome;\toffset:48;\tsize:8;\tsigned:1;
            \tfield:__data_loc char[] driver_detail;\toffset:56;\tsize:4;\tsigned:1;

            print fmt: "%d %s error%s:%s%s on %s"
            """;

    static final String MEMORY_FAILURE = "name: memory_failure_event\nID: 103\n" + COMMON + """
            \tfield:unsigned long pfn;\toffset:8;\tsize:8;\tsigned:0;
            \tfield:int type;\toffset:16;\tsize:4;\tsigned:1;
            \tfield:int result;\toffset:20;\tsize:4;\tsigned:1;

            print fmt: "pfn %#lx: recovery action for %s: %s", REC->pfn, __print_symbolic(REC->type, { 0, "reserved kernel page" }, \
            { 13, "dirty LRU page" }), __print_symbolic(REC->result, { 0, "Ignored" }, { 1, "Failed" }, { 2, "Delayed" }, { 3, "Recovered" })
            """;

    static final String AER_EVENT = "name: aer_event\nID: 104\n" + COMMON + """
            \tfield:__data_loc char[] dev_name;\toffset:8;\tsize:4;\tsigned:1;
            \tfield:u32 status;\toffset:12;\tsize:4;\tsigned:0;
            \tfield:u8 severity;\toffset:16;\tsize:1;\tsigned:0;
            \tfield:u8 tlp_header_valid;\toffset:17;\tsize:1;\tsigned:0;
            \tfield:u32 tlp_header[4];\toffset:20;\tsize:16;\tsigned:0;

            print fmt: "%s PCIe Bus Error: severity=%s, %s, TLP Header=%s\\n"
            """;

    private Formats() {}
}
