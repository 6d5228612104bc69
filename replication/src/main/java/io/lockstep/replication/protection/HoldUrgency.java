package io.lockstep.replication.protection;

import io.lockstep.linux.LinuxException;
import io.lockstep.linux.Scheduling;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Makes the capture thread urgent while it holds the VM: on a busy host it would wait for a processor several times in each pause, behind threads
 * that can wait; sched(7), nice values. While the guest runs, the thread is as urgent as it was: its copies must not take the guest's processors.
 *
 * <p>Capture thread only. Two system calls for each hold, about a microsecond each.
 */
final class HoldUrgency {
    /** Ten times the weight of an ordinary thread. */
    static final int NICE = -10;

    private static final Logger LOG = LoggerFactory.getLogger(HoldUrgency.class);

    private boolean permitted = true;
    private boolean urgent;
    private int before;

    /** A hold begins. Without CAP_SYS_NICE nothing changes. */
    void begin() {
        if (!permitted || urgent) {
            return;
        }
        try {
            before = Scheduling.nice();
            if (before > NICE) {
                Scheduling.setNice(NICE);
                urgent = true;
            }
        } catch (LinuxException e) {
            permitted = false;
            LOG.info("pauses are no more urgent than other work of this host: {}", e.getMessage());
        }
    }

    /** The VM runs again, or a hold that did not begin has ended. */
    void end() {
        if (!urgent) {
            return;
        }
        urgent = false;
        try {
            Scheduling.setNice(before);
        } catch (LinuxException e) {
            LOG.warn("the capture thread stays urgent: {}", e.getMessage());
        }
    }
}
