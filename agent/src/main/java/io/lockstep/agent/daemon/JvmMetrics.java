package io.lockstep.agent.daemon;

import io.lockstep.agent.metrics.Metric;
import io.lockstep.agent.metrics.MetricsText;
import java.io.IOException;
import java.lang.management.BufferPoolMXBean;
import java.lang.management.GarbageCollectorMXBean;
import java.lang.management.ManagementFactory;
import java.lang.management.MemoryMXBean;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.stream.Stream;

/** The agent's own process, under the names of Prometheus' Java client. */
final class JvmMetrics {
    private static final double MS_PER_S = 1e3;
    private static final long KIB = 1024;

    private JvmMetrics() {}

    static void add(MetricsText text) {
        MemoryMXBean memory = ManagementFactory.getMemoryMXBean();
        text.add(Metric.JVM_MEMORY, memory.getHeapMemoryUsage().getUsed(), "area", "heap");
        text.add(Metric.JVM_MEMORY, memory.getNonHeapMemoryUsage().getUsed(), "area", "nonheap");
        for (BufferPoolMXBean pool : ManagementFactory.getPlatformMXBeans(BufferPoolMXBean.class)) {
            if (pool.getName().equals("direct")) {
                text.add(Metric.JVM_MEMORY, pool.getMemoryUsed(), "area", "direct");
            }
        }
        text.add(Metric.JVM_THREADS, ManagementFactory.getThreadMXBean().getThreadCount());
        for (GarbageCollectorMXBean gc : ManagementFactory.getGarbageCollectorMXBeans()) {
            text.summary(Metric.JVM_GC, gc.getCollectionCount(), gc.getCollectionTime() / MS_PER_S, "gc", gc.getName());
        }
        text.add(Metric.PROCESS_START, ManagementFactory.getRuntimeMXBean().getStartTime() / MS_PER_S);
        text.add(
                Metric.PROCESS_CPU,
                ProcessHandle.current()
                                .info()
                                .totalCpuDuration()
                                .orElse(Duration.ZERO)
                                .toMillis()
                        / MS_PER_S);
        try (Stream<Path> descriptors = Files.list(Path.of("/proc/self/fd"));
                Stream<String> status = Files.lines(Path.of("/proc/self/status"))) {
            text.add(Metric.PROCESS_FDS, descriptors.count());
            status.filter(line -> line.startsWith("VmRSS:"))
                    .findFirst()
                    .ifPresent(line -> text.add(
                            Metric.PROCESS_MEMORY, Long.parseLong(line.replaceAll("[^0-9]", "")) * (double) KIB));
        } catch (IOException e) {
            throw new java.io.UncheckedIOException("/proc cannot be read", e);
        }
    }
}
