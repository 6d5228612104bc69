package io.lockstep.agent.api;

import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;

/**
 * What a thread's work costs those who hold VMs: its processor time, and what it allocates, because the collector stops every thread when enough was. In
 * nanoseconds of a processor. Any thread.
 */
final class Expense {
    /** 26 MiB of young generation × 25 ns = 0.7 s: what has a fifth of a processor causes a collection every 3 s at most. */
    private static final long NS_PER_BYTE = 25;

    private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

    private Expense() {}

    /** Of the calling thread since it began. */
    static long ofThisThreadNs() {
        return THREADS.getCurrentThreadCpuTime() + THREADS.getCurrentThreadAllocatedBytes() * NS_PER_BYTE;
    }

    /** Of a thread since it began; 0 if it has ended. */
    static long ofNs(long thread) {
        return Math.max(0, THREADS.getThreadCpuTime(thread))
                + Math.max(0, THREADS.getThreadAllocatedBytes(thread)) * NS_PER_BYTE;
    }
}
