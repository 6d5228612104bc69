package io.lockstep.telemetry.decode;

import io.lockstep.telemetry.event.Raw;

/**
 * A machine check as the kernel records it: {@code struct mce} of {@code arch/x86/include/uapi/asm/mce.h}, the fields of the tracepoint
 * {@code mce:mce_record}. Any numbers are allowed: they come from hardware.
 *
 * @param wallMs when, milliseconds since 1970, UTC
 * @param vendor as the kernel numbers them: 0 Intel, 2 AMD, 9 Hygon, 10 Zhaoxin
 * @param cpuid EAX of CPUID leaf 1: family, model and stepping
 * @param socket processor package
 * @param cpu as Linux numbers logical CPUs; for records of another life, as that life numbered them
 * @param bank 0 to 63; 128 thermal, 255 from firmware
 * @param cs code segment at the time; its two low bits are 3 in user space
 * @param mcgCap IA32_MCG_CAP; 0 if not known
 * @param mcgStatus IA32_MCG_STATUS
 * @param status IA32_MCi_STATUS
 * @param addr IA32_MCi_ADDR
 * @param misc IA32_MCi_MISC
 * @param synd MCA_SYND, AMD
 * @param ipid MCA_IPID, AMD
 * @param ip instruction pointer at the time
 * @param ppin protected processor inventory number; 0 if not known
 */
public record MachineCheck(
        long wallMs,
        int vendor,
        int cpuid,
        int socket,
        int cpu,
        int bank,
        int cs,
        long mcgCap,
        long mcgStatus,
        long status,
        long addr,
        long misc,
        long synd,
        long ipid,
        long ip,
        long ppin)
        implements Raw {
    /** The kernel's number of Intel. */
    public static final int INTEL = 0;

    /** The kernel's number of AMD. */
    public static final int AMD = 2;

    /** The kernel's number of Hygon, whose processors report as AMD's do. */
    public static final int HYGON = 9;

    /** Intel's families end below. */
    private static final int AMD_FAMILY_MIN = 0x10;

    /** Bank of thermal events ({@code MCE_THERMAL_BANK}). */
    public static final int THERMAL_BANK = 128;

    /** Bank of what firmware reported through APEI ({@code apei_mce_report_mem_error}). */
    public static final int FIRMWARE_BANK = 255;

    /** The family in EAX of CPUID leaf 1. */
    static int family(int cpuid) {
        int family = Bits.field(cpuid, 8, 11);
        return family == 15 ? family + Bits.field(cpuid, 20, 27) : family;
    }

    /** The vendor where it was not told: AMD's families begin above Intel's, and only its processors have MCA_SYND and MCA_IPID. */
    public static int vendorOf(int cpuid, long synd, long ipid) {
        return ipid != 0 || synd != 0 || family(cpuid) >= AMD_FAMILY_MIN ? AMD : INTEL;
    }

    @Override
    public String words() {
        StringBuilder words = new StringBuilder(cpu < 0 ? "" : "CPU " + cpu + " ")
                .append("bank ")
                .append(bank);
        hexadecimal(words, "status", status, true);
        hexadecimal(words, "misc", misc, Bits.set(status, 59));
        hexadecimal(words, "addr", addr, Bits.set(status, 58));
        hexadecimal(words, "mcgstatus", mcgStatus, mcgStatus != 0);
        hexadecimal(words, "synd", synd, synd != 0);
        hexadecimal(words, "ipid", ipid, ipid != 0);
        hexadecimal(words, "cpuid", cpuid & 0xffff_ffffL, cpuid != 0);
        return words.toString();
    }

    private static void hexadecimal(StringBuilder to, String name, long value, boolean shown) {
        if (shown) {
            to.append(' ').append(name).append(" 0x").append(Long.toHexString(value));
        }
    }
}
