package io.lockstep.agent.demo;

import java.time.Duration;
import java.util.Arrays;
import java.util.List;

/** The guest's ticks on their way from the serial log to the check. Single-threaded. */
final class TickWatch {
    /** A guest makes 100 ticks a second; on an overloaded machine, a tenth of that. */
    private static final Duration TICKS = Duration.ofSeconds(60);

    private final SerialLog serial;
    private final ChainCheck check;
    private final int sweepTicks;

    /**
     * @param sweepTicks in which the guest reads every page of its arena
     */
    TickWatch(SerialLog serial, ChainCheck check, int sweepTicks) {
        this.serial = serial;
        this.check = check;
        this.sweepTicks = sweepTicks;
    }

    /** What the ticks are held against. */
    ChainCheck check() {
        return check;
    }

    /** Bytes that the guest has printed. */
    long printedBytes() {
        return serial.sizeBytes();
    }

    /** Ticks that the guest has printed. */
    int printed() {
        return serial.count();
    }

    /** Returns when the guest has read every page of its arena after the kill, each state checked. */
    void awaitSweep() throws InterruptedException, DemoFailure {
        Deadline.await(sweepTicks + " ticks of the guest after the kill", TICKS, () -> {
            check.take(serial.from(check.taken()));
            return check.after() >= sweepTicks;
        });
    }

    /** Returns when the guest has printed so many ticks in all. */
    void awaitPrinted(int count) throws InterruptedException, DemoFailure {
        Deadline.await("tick " + count + " of the guest", TICKS, () -> serial.count() >= count);
    }

    /** The longest time between two ticks from an index on, less the usual time, milliseconds; 0 if no gap is longer. */
    double longestGapMs(int from) {
        List<Tick> ticks = serial.from(from);
        if (ticks.size() < 2) {
            return 0;
        }
        long[] gapsNs = new long[ticks.size() - 1];
        for (int i = 0; i < gapsNs.length; i++) {
            gapsNs[i] = ticks.get(i + 1).atNs() - ticks.get(i).atNs();
        }
        Arrays.sort(gapsNs);
        return (gapsNs[gapsNs.length - 1] - gapsNs[gapsNs.length / 2]) / 1e6;
    }
}
