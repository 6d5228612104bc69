package io.lockstep.telemetry.decode;

/** Machine checks to decode. */
public final class Checks {
    public static final int SANDY_BRIDGE = 0x206d7;
    public static final int BROADWELL = 0x406f1;
    public static final int SKYLAKE = 0x50654;
    public static final int ICE_LAKE = 0x606a6;
    public static final int SAPPHIRE_RAPIDS = 0x806f8;
    public static final int GRANITE_RAPIDS = 0xa06d1;

    /** MCG_CAP with SER_P, TES_P, CMCI_P and ten banks. */
    public static final long CAP = 0x1000c0a;

    private Checks() {}

    public static MachineCheck intel(int cpuid, int bank, long status, long misc) {
        return intel(cpuid, bank, status, misc, 0x12345678L, 0);
    }

    public static MachineCheck intel(int cpuid, int bank, long status, long misc, long addr, long mcgStatus) {
        return new MachineCheck(
                1_700_000_000_000L, 0, cpuid, 0, 3, bank, 0x33, CAP, mcgStatus, status, addr, misc, 0, 0, 0, 0);
    }

    /** Of a family 19h processor. */
    public static MachineCheck amd(int hardware, int type, long low, long status, long synd) {
        long ipid = (long) type << 48 | (long) hardware << 32 | low;
        return new MachineCheck(
                1_700_000_000_000L, 2, 0xa00f11, 1, 8, 17, 0, 0, 0, status, 0x1000, 0, synd, ipid, 0, 0);
    }
}
