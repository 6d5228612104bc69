package io.lockstep.telemetry.decode;

/** Phrases for AMD's extended error codes, by code, from AMD's Processor Programming References, tables of MCA_STATUS of each bank type. */
final class SmcaWords {
    static final String[] NOTHING = {};

    static final String[] LOAD_STORE = {
        "load queue parity error",
        "store queue parity error",
        "miss address buffer parity error",
        "L1 TLB parity error",
        "data cache tag error 5",
        "data cache tag error 6",
        "data cache tag error 1",
        "internal error 1",
        "internal error 2",
        "system read error of thread 0",
        "system read error of thread 1",
        "data cache tag error 2",
        "poison used from the data cache",
        "data cache data error 2",
        "data cache data error 3",
        "data cache tag error 4",
        "L2 TLB parity error"
    };

    static final String[] LOAD_STORE_2 = {
        "data cache ECC error on a probe",
        "data cache ECC error or poison on a load",
        "data cache ECC error on a store",
        "cache tag ECC error on a probe",
        "cache tag ECC error on a load",
        "cache tag ECC error on a store",
        "EMEM ECC error on a load",
        "EMEM ECC error on a store",
        "L1 TLB parity error",
        "L2 TLB parity error",
        "page walk cache parity error",
        "store queue parity error",
        "load queue parity error",
        "miss address buffer parity error",
        "store commit buffer state parity error",
        "store commit buffer address parity error",
        "store commit buffer data parity error",
        "write combining buffer parity error",
        "poisoned line in the store commit buffer",
        "read error from L2 on a load",
        "read error from L2 on a store",
        "read error from L2 on a combined write",
        "hardware assertion"
    };

    static final String[] FETCH = {
        "microtag probe parity error",
        "instruction cache tag with several hits",
        "instruction cache tag parity error",
        "instruction cache data parity error",
        "prefetch queue parity error",
        "L0 instruction TLB parity error",
        "L1 instruction TLB parity error",
        "L2 instruction TLB parity error",
        "branch queue parity error of thread 0",
        "branch queue parity error of thread 1",
        "L1 branch target buffer with several hits",
        "L2 branch target buffer with several hits",
        "poison in an answer of the L2 cache",
        "system read error",
        "hardware assertion"
    };

    static final String[] L2 = {
        "tag with several hits",
        "tag or state ECC error",
        "data ECC error",
        "hardware assertion",
        "read response parity error"
    };

    static final String[] DECODE = {
        "micro-op cache tag parity error",
        "micro-op cache data parity error",
        "instruction buffer parity error",
        "micro-op queue parity error",
        "dispatch queue parity error",
        "fetch address queue parity error",
        "patch RAM data parity error",
        "patch RAM sequencer parity error",
        "micro-op fetch queue parity error"
    };

    static final String[] EXECUTION = {
        "watchdog timeout",
        "register file parity error",
        "flag register file parity error",
        "immediate register file parity error",
        "address generator parity error",
        "payload parity error",
        "checkpoint queue parity error",
        "retire dispatch queue parity error",
        "retire status queue parity error",
        "scheduler queue parity error",
        "branch queue parity error",
        "hardware assertion"
    };

    static final String[] FLOATING_POINT = {
        "register file parity error",
        "free list parity error",
        "schedule queue parity error",
        "non-scheduling queue parity error",
        "retire queue parity error",
        "status register file parity error",
        "hardware assertion"
    };

    static final String[] L3 = {
        "shadow tag ECC error",
        "shadow tag with several hits",
        "tag ECC error",
        "tag with several hits",
        "data ECC error",
        "data fabric parity error",
        "victim queue fabric error",
        "hardware assertion"
    };

    static final String[] COHERENT = {
        "illegal request",
        "address violation",
        "security violation",
        "illegal response",
        "unexpected response",
        "request or probe parity error",
        "read response parity error",
        "atomic request parity error",
        "probe filter ECC error"
    };

    static final String[] COHERENT_2 = {
        "illegal request",
        "address violation",
        "security violation",
        "illegal response",
        "unexpected response",
        "request or probe parity error",
        "read response parity error",
        "atomic request parity error",
        "read response that nobody waited for",
        "probe filter protocol error",
        "probe filter ECC error",
        "unexpected retry of a read response",
        "counter overflow",
        "counter underflow",
        "illegal request without data",
        "address violation without data",
        "security violation without data",
        "hardware assertion"
    };

    static final String[] FABRIC = {
        "hardware assertion",
        "register security violation",
        "link error",
        "use of poisoned data",
        "deferred error of the data fabric",
        "watchdog timeout"
    };

    static final String[] MEMORY = {
        "DRAM ECC error",
        "poisoned data in DRAM",
        "data port parity error",
        "peripheral bus error",
        "command or address parity error",
        "write data CRC error",
        "command queue ECC error",
        "encryption SRAM ECC error",
        "row found by error check and scrub",
        "error check and scrub error",
        "throttling error",
        "read data CRC error"
    };

    static final String[] MEMORY_2 = {
        "DRAM ECC error",
        "poisoned data in DRAM",
        "data port parity error",
        "error 3",
        "command or address parity error",
        "write data parity error",
        "command queue ECC error",
        "error 7",
        "read data parity error",
        "read buffer ECC error",
        "read response ECC error",
        "microprocessor error"
    };

    private SmcaWords() {}
}
