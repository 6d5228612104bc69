package io.lockstep.replication.hypervisor;

import com.fasterxml.jackson.databind.JsonNode;
import io.lockstep.replication.LockstepException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.Set;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;

/**
 * A QEMU that is resumed only to see that it can be, and then ended. The thread that started it does everything with it: QEMU is killed when
 * that thread ends.
 */
public final class QemuDrill implements AutoCloseable {
    /** A guest that idles wakes some times a second; twice in a row could be what {@code cont} itself causes. */
    private static final int WINDOWS = 4;

    private static final long WINDOW_NS = 50_000_000L;

    private final QemuStandby standby;

    private QemuDrill(QemuStandby standby) {
        this.standby = standby;
    }

    /**
     * What a guest did.
     *
     * @param processors that it has
     * @param busyNs for which they executed, all together
     * @param observedNs time from the order to run
     */
    public record Execution(int processors, long busyNs, long observedNs) {}

    /** As {@link QemuStandby#spawn}, by a command line that reaches nothing. */
    public static QemuDrill spawn(StandbySpec spec, DrillCommandLine.Made made) throws LockstepException {
        return new QemuDrill(QemuStandby.spawnForDrill(spec, made));
    }

    /** Ends what an earlier life of the agent left in a drill's directory. */
    public static void endLeftover(Path directory) throws LockstepException {
        QemuStandby.endLeftover(directory);
    }

    /** Its process id. */
    public long pid() {
        return standby.pid();
    }

    /** As {@link Standby#writeBlock}. */
    public void writeBlock(String name, long offsetBytes, ByteBuffer content) throws LockstepException {
        standby.writeBlock(name, offsetBytes, content);
    }

    /** As {@link Standby#load}. */
    public void load(ByteBuffer deviceState) throws LockstepException {
        standby.load(deviceState);
    }

    /**
     * Lets the guest run, and returns when its processors have executed in several windows of time: that QEMU says it runs is not enough.
     *
     * @param abandoned ends the wait
     * @throws LockstepException {@code drill-guest-stands-still}, {@code drill-guest-failed}, {@code drill-abandoned}
     */
    public Execution run(long timeoutNs, BooleanSupplier abandoned) throws LockstepException {
        Set<Long> threads = processors();
        int processors = standby.qmp().execute("query-cpus-fast").size();
        standby.run();
        long startNs = System.nanoTime();
        long before = busyNs(threads);
        long first = before;
        int windows = 0;
        while (true) {
            LockSupport.parkNanos(WINDOW_NS);
            standby.qmp().receive();
            if (!standby.trouble().isEmpty()) {
                throw new LockstepException(
                        "drill-guest-failed",
                        standby.trouble() + " after the guest was resumed from the replica: see "
                                + "`lockstep verify` on the primary.");
            }
            if (abandoned.getAsBoolean()) {
                throw abandoned();
            }
            long busy = busyNs(threads);
            windows += busy > before ? 1 : 0;
            before = busy;
            long observedNs = System.nanoTime() - startNs;
            if (windows >= WINDOWS) {
                checkRunning();
                return new Execution(processors, busy - first, observedNs);
            }
            if (observedNs > timeoutNs) {
                throw new LockstepException(
                        "drill-guest-stands-still",
                        "QEMU says that the guest runs, but its " + processors + " processors executed in " + windows
                                + " of " + observedNs / WINDOW_NS + " windows of 50 ms < " + WINDOWS + ".");
            }
        }
    }

    /** For whoever gives a drill up. */
    public static LockstepException abandoned() {
        return new LockstepException(
                "drill-abandoned",
                "the drill was given up: the replica is needed, was copied anew or has been removed. Try again when the VM is"
                        + " protected.");
    }

    private void checkRunning() throws LockstepException {
        JsonNode status = standby.qmp().execute("query-status");
        if (!status.path("running").asBoolean()) {
            throw new LockstepException(
                    "drill-guest-failed",
                    "the guest was resumed from the replica and is "
                            + status.path("status").asText() + " now.");
        }
    }

    private Set<Long> processors() throws LockstepException {
        Set<Long> threads = new HashSet<>();
        for (JsonNode cpu : standby.qmp().execute("query-cpus-fast")) {
            threads.add(cpu.path("thread-id").asLong());
        }
        return threads;
    }

    /** Time that the threads had a processor; {@code /proc/PID/task/TID/schedstat}, proc(5). */
    private long busyNs(Set<Long> threads) throws LockstepException {
        long sum = 0;
        for (long thread : threads) {
            Path file = Path.of("/proc/" + pid() + "/task/" + thread + "/schedstat");
            try {
                String text = Files.readString(file);
                sum += Long.parseLong(text.substring(0, text.indexOf(' ')));
            } catch (IOException e) {
                throw new LockstepException("drill-guest-failed", "QEMU ended after it resumed the guest: " + e, e);
            }
        }
        return sum;
    }

    @Override
    public void close() {
        standby.close();
    }
}
