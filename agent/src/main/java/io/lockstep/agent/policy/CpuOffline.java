package io.lockstep.agent.policy;

import io.lockstep.agent.policy.ActionLog.Outcome;
import io.lockstep.linux.LinuxException;
import io.lockstep.linux.Scheduling;
import io.lockstep.replication.hypervisor.QemuProcess;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.BitSet;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.function.Supplier;
import java.util.stream.Stream;

/**
 * Keeps work off a CPU that fails: first QEMU's threads, by their affinity, so that no virtual CPU runs there also where the kernel does not let it go
 * off line; then all others, by taking it off line (Documentation/core-api/cpu_hotplug.rst). At least half of the CPUs stay. One thread.
 */
final class CpuOffline {
    static final String ACTION = "offlineCpus";

    private static final String DIRECTORY = "devices/system/cpu";

    private final Path sysfs;
    private final Supplier<List<QemuProcess>> qemus;
    private final ActionLog log;
    private final Set<Integer> handled = new HashSet<>();

    /**
     * @param sysfs of {@code /sys}
     * @param qemus those of this host
     */
    CpuOffline(Path sysfs, Supplier<List<QemuProcess>> qemus, ActionLog log) {
        this.sysfs = sysfs;
        this.qemus = qemus;
        this.log = log;
    }

    /**
     * Takes a CPU out of use, once.
     *
     * @param cpu as Linux numbers them
     * @param mode {@code on}, {@code off} or {@code dry-run}
     */
    void take(int cpu, String mode, String why) {
        if (!handled.add(cpu)) {
            return;
        }
        String name = "CPU " + cpu;
        switch (mode) {
            case "on" -> takeOff(cpu, name, why);
            case "dry-run" ->
                log.note(
                        ACTION,
                        name,
                        Outcome.DRY_RUN,
                        "would take " + name + " off line and keep QEMU's threads off it: " + why);
            default -> log.note(ACTION, name, Outcome.OFF, name + " stays on line, as configured: " + why);
        }
    }

    /** It was replaced: what happens to it from now on counts again. */
    void forget() {
        handled.clear();
    }

    private void takeOff(int cpu, String name, String why) {
        BitSet online = list("online");
        BitSet present = list("present");
        if (!online.get(cpu)) {
            log.note(ACTION, name, Outcome.DONE, name + " is off line already: " + why);
            return;
        }
        int left = online.cardinality() - 1;
        if (left * 2 < present.cardinality() || left == 0) {
            log.note(
                    ACTION,
                    name,
                    Outcome.REFUSED,
                    name + " stays on line: " + left + " of " + present.cardinality()
                            + " CPUs would be left, fewer than half; " + why);
            return;
        }
        BitSet others = (BitSet) online.clone();
        others.clear(cpu);
        String threads = keepOff(cpu, others);
        Path file = sysfs.resolve(DIRECTORY).resolve("cpu" + cpu).resolve("online");
        try (OutputStream out = Files.newOutputStream(file, StandardOpenOption.WRITE)) {
            out.write("0".getBytes(StandardCharsets.US_ASCII));
        } catch (IOException e) {
            log.note(
                    ACTION,
                    name,
                    Outcome.FAILED,
                    name + " stays on line: "
                            + (Files.exists(file) ? "the kernel says " + e.getMessage() : file + " is not there") + ". "
                            + threads + "; " + why);
            return;
        }
        log.note(
                ACTION,
                name,
                Outcome.DONE,
                "took " + name + " off line. " + threads + ". `echo 1 > " + file + "` brings it back; " + why);
    }

    /** Every thread of every QEMU; those that may run on that CPU alone get all others. */
    private String keepOff(int cpu, BitSet others) {
        int moved = 0;
        String refused = "";
        List<QemuProcess> all = qemus.get();
        for (QemuProcess qemu : all) {
            for (int tid : threads(qemu.pid())) {
                try {
                    BitSet may = Scheduling.affinity(tid);
                    if (may.get(cpu)) {
                        may.clear(cpu);
                        Scheduling.setAffinity(tid, may.intersects(others) ? may : others);
                        moved++;
                    }
                } catch (LinuxException e) {
                    // A thread may end at any time; the kernel moves the others when the CPU goes off line.
                    refused = ", the last refusal was " + e.getMessage();
                }
            }
        }
        return moved + " threads of " + all.size() + " QEMUs keep off it" + refused;
    }

    private static List<Integer> threads(long pid) {
        try (Stream<Path> tasks = Files.list(Path.of("/proc", Long.toString(pid), "task"))) {
            return tasks.map(task -> Integer.valueOf(task.getFileName().toString()))
                    .toList();
        } catch (IOException e) {
            return List.of(); // It has ended.
        }
    }

    /** A list as the kernel writes it, e.g. {@code 0-3,5}. */
    private BitSet list(String file) {
        BitSet cpus = new BitSet();
        try {
            for (String part : Files.readString(sysfs.resolve(DIRECTORY).resolve(file))
                    .strip()
                    .split(",", -1)) {
                String[] ends = part.split("-", -1);
                cpus.set(Integer.parseInt(ends[0]), Integer.parseInt(ends[ends.length - 1]) + 1);
            }
        } catch (IOException | NumberFormatException | IndexOutOfBoundsException e) {
            // A kernel without hot-plug has no such list: nothing is on line that could be taken off.
            cpus.clear();
        }
        return cpus;
    }
}
