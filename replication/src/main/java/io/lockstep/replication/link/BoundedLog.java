package io.lockstep.replication.link;

import java.util.concurrent.TimeUnit;
import java.util.function.LongSupplier;
import org.slf4j.Logger;

/** Lets at most {@link #LINES_MAX} lines a minute into the log, and then says how many it kept out. Any thread. */
final class BoundedLog {
    static final int LINES_MAX = 10;
    private static final long WINDOW_NS = TimeUnit.MINUTES.toNanos(1);

    private final Logger log;
    private final LongSupplier clockNs;
    private long windowStartNs;
    private int lines;
    private long suppressed;

    BoundedLog(Logger log, LongSupplier clockNs) {
        this.log = log;
        this.clockNs = clockNs;
        windowStartNs = clockNs.getAsLong();
    }

    synchronized void warn(String line) {
        long nowNs = clockNs.getAsLong();
        if (nowNs - windowStartNs >= WINDOW_NS) {
            if (suppressed > 0) {
                log.warn("{} more connections were refused since the last line", suppressed);
            }
            windowStartNs = nowNs;
            lines = 0;
            suppressed = 0;
        }
        if (lines < LINES_MAX) {
            lines++;
            log.warn("{}", line);
        } else {
            suppressed++;
        }
    }
}
