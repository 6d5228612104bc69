package io.lockstep.telemetry.decode;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import io.lockstep.telemetry.event.EventKind;
import io.lockstep.telemetry.event.HardwareEvent;
import io.lockstep.telemetry.event.Severity;
import java.lang.management.ManagementFactory;
import java.util.EnumSet;
import java.util.Set;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

/** Any numbers at all: nothing throws, everything stays bounded, every class is reached. */
class DecoderFuzzTest {
    private static final int CHECKS = 3_000_000;
    private static final int LINES = 100_000;
    private static final long SEED = 20_260_131;

    /** An event of ten fields, a module of twelve and what a decode may box: far below one formatted line. */
    private static final long BYTES_PER_DECODE_MAX = 256;

    private static final int[] CPUIDS = {
        0x206d7, 0x306e4, 0x306f2, 0x406f1, 0x50654, 0x50657, 0x606a6, 0x806f8, 0xc06f2, 0xa06d1, 0x800f11, 0xa00f11, 0
    };

    private static MachineCheck random(SplittableRandom random) {
        int vendor = random.nextInt(10) == 0 ? random.nextInt() : random.nextBoolean() ? 0 : 2;
        int bank = random.nextInt(20) == 0 ? random.nextInt() : random.nextInt(34);
        long hardware = new int[] {0x96, 0xb0, 0x2e, 0x46, 0x01}[random.nextInt(5)];
        long ipid = random.nextInt(4) == 0
                ? random.nextLong()
                : hardware << 32 | (long) random.nextInt(17) << 48 | (random.nextInt() & 0xffff_ffffL);
        long status = random.nextLong();
        if (random.nextBoolean()) {
            status = (status & 0xffff_ffff_0000_0000L)
                    | (long) (random.nextInt(8) == 0 ? 0x10a0 : random.nextInt(0x1100)) << 16
                    | random.nextInt(0x1000);
        }
        return new MachineCheck(
                random.nextLong(),
                vendor,
                random.nextInt(8) == 0 ? random.nextInt() : CPUIDS[random.nextInt(CPUIDS.length)],
                random.nextInt(),
                random.nextInt(),
                bank,
                random.nextInt(),
                random.nextLong(),
                random.nextLong() >>> random.nextInt(64),
                status,
                random.nextLong() >>> random.nextInt(64),
                random.nextLong(),
                random.nextLong(),
                ipid,
                random.nextLong(),
                random.nextLong());
    }

    @Test
    void shouldNeverThrowWhateverTheNumbersAre() {
        SplittableRandom random = new SplittableRandom(SEED);
        Set<EventKind> kinds = EnumSet.noneOf(EventKind.class);
        Set<Severity> severities = EnumSet.noneOf(Severity.class);
        for (int i = 0; i < CHECKS; i++) {
            HardwareEvent event = MachineCheckDecoder.decode(random(random));
            kinds.add(event.kind());
            severities.add(event.severity());
            if (i < LINES) {
                String line = event.line();
                assertThat(line.length()).as(line).isBetween(20, 600);
                assertThat(line).doesNotContain("\n").doesNotContain("null");
            }
        }
        assertThat(severities).isEqualTo(EnumSet.allOf(Severity.class));
        assertThat(kinds)
                .contains(
                        EventKind.MEMORY_ERROR,
                        EventKind.MEMORY_SCRUB,
                        EventKind.MEMORY_PARITY,
                        EventKind.MEMORY_SPARE,
                        EventKind.MIRROR_FAILOVER,
                        EventKind.MIRROR_SCRUBBED,
                        EventKind.MIRROR_SECOND,
                        EventKind.MIRROR_BROKEN,
                        EventKind.POISON,
                        EventKind.CACHE,
                        EventKind.CACHE_LIMIT,
                        EventKind.TLB,
                        EventKind.BUS,
                        EventKind.INTERNAL,
                        EventKind.TIMER,
                        EventKind.PCIE,
                        EventKind.UNKNOWN);
    }

    @Test
    void shouldAllocateTheEventAlone() {
        ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        SplittableRandom random = new SplittableRandom(SEED);
        MachineCheck[] checks = new MachineCheck[1000];
        for (int i = 0; i < checks.length; i++) {
            checks[i] = random(random);
        }
        long sum = 0;
        for (int round = 0; round < 100; round++) {
            for (MachineCheck check : checks) {
                sum += MachineCheckDecoder.decode(check).count();
            }
        }
        long before = threads.getThreadAllocatedBytes(Thread.currentThread().getId());
        for (MachineCheck check : checks) {
            sum += MachineCheckDecoder.decode(check).count();
        }
        long bytes = threads.getThreadAllocatedBytes(Thread.currentThread().getId()) - before;
        assertThat(sum).isPositive();
        assertThat(bytes / checks.length).isLessThan(BYTES_PER_DECODE_MAX);
    }
}
