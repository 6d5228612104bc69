package io.lockstep.perf.bench;

import java.io.IOException;

/**
 * An agent's metrics at one moment: what two of them differ in was done between them.
 *
 * @param text in the format of Prometheus
 */
record Counters(String text) {
    /** Of the primary's agent now. */
    static Counters now(Lab lab) throws Exception {
        return new Counters(lab.primary().metrics());
    }

    /** Pages of 4 KiB that an epoch since then read, on average: written ones, and those that every hold reads because they are written often. */
    double pagesAnEpoch(Counters before, String vm) throws IOException {
        return mean("lockstep_dirty_pages", before, vm);
    }

    /** How many of a VM's epochs the peer has acknowledged since then. */
    double epochs(Counters before, String vm) throws IOException {
        return value("lockstep_epoch_acknowledged", vm) - before.value("lockstep_epoch_acknowledged", vm);
    }

    /** A pause since then, on average. */
    double pauseMs(Counters before, String vm) throws IOException {
        return mean("lockstep_pause_seconds", before, vm) * 1e3;
    }

    /** 0 if nothing came since then. */
    private double mean(String family, Counters before, String vm) throws IOException {
        double count = value(family + "_count", vm) - before.value(family + "_count", vm);
        double sum = value(family + "_sum", vm) - before.value(family + "_sum", vm);
        return count == 0 ? 0 : sum / count;
    }

    private double value(String name, String vm) throws IOException {
        String begin = name + "{vm=\"" + vm + "\"} ";
        for (String line : text.lines().toList()) {
            if (line.startsWith(begin)) {
                return Double.parseDouble(line.substring(begin.length()));
            }
        }
        throw new IOException("the agent's metrics have no " + begin.strip());
    }
}
