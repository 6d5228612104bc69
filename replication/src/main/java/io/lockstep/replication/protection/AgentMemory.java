package io.lockstep.replication.protection;

import com.sun.management.HotSpotDiagnosticMXBean;
import io.lockstep.replication.LockstepException;
import io.lockstep.replication.RamBlock;
import io.lockstep.replication.disk.DiskReplication;
import io.lockstep.replication.network.NetDevice;
import java.lang.management.BufferPoolMXBean;
import java.lang.management.ManagementFactory;
import java.util.concurrent.locks.LockSupport;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Whether this JVM has memory for one more VM: one that runs out of it ends, and with it the protection of all others.
 *
 * @param heapFree bytes that the heap can still take
 * @param heapMax what it may grow to
 * @param directFree bytes of direct memory that can still be had
 * @param directMax the bound of that
 */
record AgentMemory(long heapFree, long heapMax, long directFree, long directMax) {
    private static final Logger LOG = LoggerFactory.getLogger(AgentMemory.class);
    private static final long COLLECT_NS = 1_000_000_000L;

    /** Links, statistics, threads: measured, 16 VMs. */
    private static final long HEAP_BYTES = 3 << 20;

    /** What is known of hot ones, two and an eighth. */
    private static final long HEAP_BYTES_PER_PAGE = 3;

    /** Of the link, the device state and the messages. */
    private static final long DIRECT_BYTES = 12 << 20;

    /** The bitmaps of written, populated and hot pages; seven, rounded up. */
    private static final long DIRECT_BYTES_PER_PAGE = 1;

    /** A page as it was read, and as it is sent. */
    private static final long DIRECT_BYTES_PER_SLOT = 2 * (RamBlock.PAGE_BYTES + 64);

    /**
     * As {@link #require} now; what nobody uses any more is collected first if there would be too little.
     *
     * @throws LockstepException {@code agent-memory-full}
     */
    static void check(AttachedVm vm, String name, ProtectionSettings settings) throws LockstepException {
        long netdevs = vm.netDevices().stream().filter(NetDevice::holdable).count();
        boolean disks = !vm.mirroredDisks().isEmpty();
        long deadlineNs = 0;
        while (true) {
            try {
                now().require(name, vm.ramBytes(), settings, netdevs, disks);
                return;
            } catch (LockstepException e) {
                long nowNs = System.nanoTime();
                if (deadlineNs == 0) {
                    LOG.info("{}: collecting what is not used any more: {}", name, e.getMessage());
                    System.gc();
                    deadlineNs = nowNs + COLLECT_NS;
                } else if (nowNs - deadlineNs >= 0) {
                    throw e;
                }
            }
            // Direct memory is given back by a thread of the JVM's, some milliseconds after the collection.
            LockSupport.parkNanos(COLLECT_NS / 100);
        }
    }

    static AgentMemory now() {
        Runtime runtime = Runtime.getRuntime();
        long heapUsed = runtime.totalMemory() - runtime.freeMemory();
        long directUsed = 0;
        for (BufferPoolMXBean pool : ManagementFactory.getPlatformMXBeans(BufferPoolMXBean.class)) {
            directUsed += pool.getName().equals("direct") ? pool.getMemoryUsed() : 0;
        }
        long option = Long.parseLong(ManagementFactory.getPlatformMXBean(HotSpotDiagnosticMXBean.class)
                .getVMOption("MaxDirectMemorySize")
                .getValue());
        long directMax = option == 0 ? runtime.maxMemory() : option;
        return new AgentMemory(runtime.maxMemory() - heapUsed, runtime.maxMemory(), directMax - directUsed, directMax);
    }

    /**
     * Nothing is allocated.
     *
     * @param ramBytes of the VM
     * @param heldNetdevs of the VM, each with a log of frames
     * @param mirroredDisks whether it has any
     * @throws LockstepException {@code agent-memory-full}
     */
    void require(String vm, long ramBytes, ProtectionSettings settings, long heldNetdevs, boolean mirroredDisks)
            throws LockstepException {
        long pages = ramBytes / RamBlock.PAGE_BYTES;
        long heap = HEAP_BYTES + HEAP_BYTES_PER_PAGE * pages;
        if (heap > heapFree) {
            throw full(vm, heap, "heap", heapFree, heapMax, "-Xmx");
        }
        long direct = DIRECT_BYTES
                + DIRECT_BYTES_PER_SLOT * settings.ringSlots()
                + settings.pageCacheBytes()
                + DIRECT_BYTES_PER_PAGE * pages
                + heldNetdevs * settings.output().logBytes()
                + (mirroredDisks ? DiskReplication.LOG_BYTES : 0);
        if (direct > directFree) {
            throw full(
                    vm,
                    direct,
                    "direct memory",
                    directFree,
                    directMax,
                    "pipeline.ringSlots and pageCacheBytes lower, or -XX:MaxDirectMemorySize");
        }
    }

    private static LockstepException full(String vm, long wanted, String what, long free, long max, String option) {
        return new LockstepException(
                "agent-memory-full",
                "Protecting " + vm + " takes " + mib(wanted) + " MiB of this agent's " + what + ", of whose " + mib(max)
                        + " MiB " + mib(free) + " are free. Set " + option
                        + " higher in the agent's jvm.options and restart it, or protect fewer VMs from this host.");
    }

    private static long mib(long bytes) {
        return bytes >> 20;
    }
}
