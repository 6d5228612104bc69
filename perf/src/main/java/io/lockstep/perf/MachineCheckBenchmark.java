package io.lockstep.perf;

import io.lockstep.telemetry.decode.MachineCheck;
import io.lockstep.telemetry.decode.MachineCheckDecoder;
import io.lockstep.telemetry.event.HardwareEvent;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;

/** Machine checks decoded on one core; the figure is decodes a second. */
@State(Scope.Thread)
@BenchmarkMode(Mode.Throughput)
@OutputTimeUnit(TimeUnit.SECONDS)
public class MachineCheckBenchmark {
    /** A power of two: what the processor cannot learn by heart, and the caches hold. */
    private static final int CHECKS = 4096;

    /** What is decoded. */
    public enum Source {
        /** Corrected read errors of one Skylake channel, as in a storm. */
        STORM,
        /** Memory errors of every generation from Sandy Bridge to Granite Rapids, corrected and not. */
        INTEL,
        /** Banks of AMD's scalable architecture. */
        AMD,
        /** Any bits at all. */
        RANDOM
    }

    /** See there. */
    @Param
    public Source source = Source.STORM;

    private final MachineCheck[] checks = new MachineCheck[CHECKS];
    private int next;

    /** Makes the machine checks. */
    @Setup
    public void setup() {
        int[] models = {0x206d7, 0x306e4, 0x306f2, 0x406f1, 0x50654, 0x606a6, 0x806f8, 0xc06f2, 0xa06d1};
        int[] hardware = {0x96, 0xb0, 0x2e, 0x50};
        SplittableRandom random = new SplittableRandom(3);
        for (int i = 0; i < CHECKS; i++) {
            long address = (long) random.nextInt(1 << 24) << 12;
            checks[i] = switch (source) {
                case STORM -> check(0, 0x50654, 13, 0x8c00004000010090L, address, 0x8c, 0);
                case INTEL ->
                    check(
                            0,
                            models[random.nextInt(models.length)],
                            7 + random.nextInt(14),
                            0x8c00000000000080L
                                    | (random.nextLong() & 0x6180_01c0_0000_0000L)
                                    | (1L << (16 + random.nextInt(12)))
                                    | random.nextInt(0x50),
                            address,
                            (random.nextLong() & ~0x1c0L) | 0x80,
                            0);
                case AMD ->
                    check(
                            2,
                            0xa00f11,
                            random.nextInt(30),
                            0x9c20000000000000L | (random.nextLong() & 0x2200_1800_001f_0fffL),
                            address,
                            0,
                            (long) random.nextInt(3) << 48
                                    | (long) hardware[random.nextInt(hardware.length)] << 32
                                    | (random.nextInt() & 0xffff_ffffL));
                case RANDOM ->
                    check(
                            random.nextInt(10),
                            random.nextInt(),
                            random.nextInt(256),
                            random.nextLong(),
                            random.nextLong(),
                            random.nextLong(),
                            random.nextLong());
            };
        }
    }

    private static MachineCheck check(int vendor, int cpuid, int bank, long status, long addr, long misc, long ipid) {
        return new MachineCheck(
                1_700_000_000_000L, vendor, cpuid, 0, 3, bank, 0x33, 0x1000c0a, 0, status, addr, misc, 5, ipid, 0, 0);
    }

    /** Decodes one. */
    @Benchmark
    public HardwareEvent decode() {
        return MachineCheckDecoder.decode(checks[next++ & (CHECKS - 1)]);
    }
}
