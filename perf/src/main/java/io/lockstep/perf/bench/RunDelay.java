package io.lockstep.perf.bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.Stream;

/** How long a thread of another process was ready to run and had no core, sampled from {@code /proc/PID/task/TID/schedstat}. */
final class RunDelay implements AutoCloseable {
    private static final long PERIOD_NS = 2_000_000;

    private record Sample(long atNs, long waitedNs) {}

    private final Path file;
    private final List<Sample> samples = new ArrayList<>();
    private final Thread thread = new Thread(this::sample, "run-delay");
    private volatile boolean open = true;

    private RunDelay(Path file) {
        this.file = file;
        thread.setDaemon(true);
        thread.start();
    }

    /** Watches the first thread whose name begins so; the kernel keeps 15 characters of it. */
    static RunDelay of(long pid, String name) throws IOException {
        try (Stream<Path> tasks = Files.list(Path.of("/proc/" + pid + "/task"))) {
            for (Path task : tasks.sorted().toList()) {
                if (Files.readString(task.resolve("comm")).startsWith(name)) {
                    return new RunDelay(task.resolve("schedstat"));
                }
            }
        }
        throw new IOException("process " + pid + " has no thread " + name);
    }

    private void sample() {
        try {
            while (open) {
                long waitedNs = Long.parseLong(Files.readString(file).split(" ", -1)[1]);
                synchronized (this) {
                    samples.add(new Sample(System.nanoTime(), waitedNs));
                }
                LockSupport.parkNanos(PERIOD_NS);
            }
        } catch (IOException e) {
            return; // The thread has ended, and with it what can be known of it.
        }
    }

    /** How long it waited in the shortest stretch of samples that covers the interval; an upper bound. */
    synchronized long waitedNs(long beginNs, long endNs) {
        long before = samples.isEmpty() ? 0 : samples.get(0).waitedNs();
        for (Sample sample : samples) {
            if (sample.atNs() <= beginNs) {
                before = sample.waitedNs();
            } else if (sample.atNs() >= endNs) {
                return sample.waitedNs() - before;
            }
        }
        return 0;
    }

    @Override
    public void close() {
        open = false;
        LockSupport.unpark(thread);
    }
}
