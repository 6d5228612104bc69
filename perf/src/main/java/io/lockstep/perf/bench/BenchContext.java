package io.lockstep.perf.bench;

import java.nio.file.Path;

/**
 * What every section needs to know.
 *
 * @param project the source tree
 * @param guests directory of the guests, as {@code agent/guests/build.sh} made them
 * @param accelerator {@code kvm} or {@code tcg}
 * @param quick short series: the whole within five minutes on two cores
 * @param network whether there is a network that nobody else uses, for guests and their clients
 * @param agents those that sections share
 */
record BenchContext(Path project, Path guests, String accelerator, boolean quick, boolean network, SharedLab agents) {
    /** The length of a series: the first for a quick run. */
    int pick(int quickly, int thoroughly) {
        return quick ? quickly : thoroughly;
    }
}
