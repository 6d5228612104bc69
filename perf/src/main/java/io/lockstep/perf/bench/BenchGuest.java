package io.lockstep.perf.bench;

import io.lockstep.agent.demo.Deadline;
import io.lockstep.agent.demo.DemoFailure;
import io.lockstep.agent.demo.GuestNetwork;
import io.lockstep.agent.demo.SerialLog;
import io.lockstep.agent.demo.Tick;
import io.lockstep.replication.LockstepException;
import io.lockstep.replication.hypervisor.QmpConnection;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/**
 * A QEMU whose guest prints ticks, as anyone might have started it: one monitor for the agent, one for the bench. Single-threaded.
 *
 * <p>Its process ends with the lab's workspace, whose directory stands in its command line.
 */
final class BenchGuest implements AutoCloseable {
    private static final Duration BOOT = Duration.ofSeconds(60);
    private static final long QMP_NS = 5_000_000_000L;
    /** Where a gap between ticks is measured: a tenth of it, and less. */
    private static final long GAP_POLL_NS = 1_000_000;
    /** Where ticks are counted: to look for them must not take the processor from what is measured. */
    private static final long COUNT_POLL_NS = 5_000_000;

    private final String name;
    private final Path directory;
    private final Process process;
    private final SerialLog serial;

    private BenchGuest(String name, Path directory, Process process, SerialLog serial) {
        this.name = name;
        this.directory = directory;
        this.process = process;
        this.serial = serial;
    }

    /** What to boot: memory, and what the guest does with it. */
    record Spec(String name, int memoryMib, List<String> boot, List<String> devices, long pollNs) {
        /** The project's own small guest; {@code chain} as {@code agent/guests/micro/micro.c} knows it. */
        static Spec micro(BenchContext context, String name, int memoryMib, String chain) {
            return new Spec(
                    name,
                    memoryMib,
                    List.of("-kernel", context.guests().resolve("micro.elf").toString(), "-append", chain),
                    List.of(),
                    COUNT_POLL_NS);
        }

        /** Debian's kernel; {@code options} as {@code agent/guests/linux/init} knows them. */
        static Spec linux(BenchContext context, String name, int memoryMib, String options) {
            return new Spec(
                    name,
                    memoryMib,
                    List.of(
                            "-kernel",
                            context.guests().resolve("vmlinuz").toString(),
                            "-initrd",
                            context.guests().resolve("initrd.gz").toString(),
                            "-append",
                            "console=ttyS0 loglevel=1 panic=-1 " + options),
                    List.of(),
                    COUNT_POLL_NS);
        }

        /** The same, and its server answers on the lab's network. */
        static Spec server(BenchContext context, String name, int memoryMib, String options) {
            return linux(context, name, memoryMib, options + " " + GuestNetwork.guestOption())
                    .with(GuestNetwork.qemuArguments());
        }

        /** The same with these devices. */
        Spec with(List<String> otherDevices) {
            return new Spec(name, memoryMib, boot, otherDevices, pollNs);
        }

        /** The same, and the times of its ticks are known to a millisecond. */
        Spec withGaps() {
            return new Spec(name, memoryMib, boot, devices, GAP_POLL_NS);
        }
    }

    /** Boots it, and returns after its first ticks. */
    static BenchGuest boot(BenchContext context, Spec spec, Path directory)
            throws IOException, InterruptedException, DemoFailure {
        return bootAll(context, List.of(spec), directory).get(0);
    }

    /** Boots some at the same time, and returns after the first ticks of all. */
    static List<BenchGuest> bootAll(BenchContext context, List<Spec> specs, Path directory)
            throws IOException, InterruptedException, DemoFailure {
        List<BenchGuest> guests = new ArrayList<>();
        for (Spec spec : specs) {
            SerialLog serial = new SerialLog(directory.resolve(spec.name() + ".serial"), spec.pollNs());
            Process process = start(context, spec, directory, spec.name(), List.of());
            guests.add(new BenchGuest(spec.name(), directory, process, serial));
        }
        for (BenchGuest guest : guests) {
            Deadline.await("the first ticks of " + guest.name, BOOT, () -> {
                if (!guest.process.isAlive()) {
                    throw new DemoFailure("QEMU ended while " + guest.name + " booted: see " + directory);
                }
                return guest.serial.count() > 1;
            });
        }
        return guests;
    }

    /**
     * Starts a QEMU with the guest's command line.
     *
     * @param process name of its monitor and log, another one for another process of the same VM
     * @param more empty, or what makes it the target of a migration, on the other host's network
     */
    static Process start(BenchContext context, Spec spec, Path directory, String process, List<String> more)
            throws IOException {
        List<String> command = new ArrayList<>(List.of(
                "qemu-system-x86_64", "-name", spec.name(), "-machine", "q35", "-accel", context.accelerator()));
        command.addAll(List.of("-m", spec.memoryMib() + "M", "-nodefaults", "-display", "none"));
        command.addAll(
                List.of("-chardev", "file,id=serial,append=on,path=" + directory.resolve(spec.name() + ".serial")));
        command.addAll(List.of("-serial", "chardev:serial"));
        command.addAll(List.of("-qmp", "unix:" + directory.resolve(process + ".qmp") + ",server=on,wait=off"));
        command.addAll(List.of("-qmp", "unix:" + directory.resolve(process + ".bench.qmp") + ",server=on,wait=off"));
        command.addAll(spec.boot());
        command.addAll(
                more.isEmpty()
                        ? spec.devices()
                        : spec.devices().stream()
                                .map(text -> text.replace(GuestNetwork.TAP_PRIMARY, GuestNetwork.TAP_PEER))
                                .toList());
        command.addAll(more);
        return new ProcessBuilder(command)
                .redirectErrorStream(true)
                .redirectInput(Path.of("/dev/null").toFile())
                .redirectOutput(directory.resolve(process + ".log").toFile())
                .start();
    }

    String name() {
        return name;
    }

    long pid() {
        return process.pid();
    }

    /** SIGKILL, as if QEMU had crashed. */
    void kill() {
        process.destroyForcibly();
    }

    /** The bench's own monitor of a process. */
    static QmpConnection monitor(Path directory, String process) throws LockstepException {
        return QmpConnection.open(directory.resolve(process + ".bench.qmp"), QMP_NS);
    }

    Path directory() {
        return directory;
    }

    /** How many ticks it has printed. */
    int ticks() {
        return serial.count();
    }

    /** Returns when so many more ticks have come. */
    void awaitTicks(int more) throws InterruptedException, DemoFailure {
        int until = serial.count() + more;
        Deadline.await(more + " ticks of " + name, BOOT, () -> serial.count() >= until);
    }

    /** The longest time between two ticks from an index on, milliseconds. */
    double longestGapMs(int from) {
        List<Tick> ticks = serial.from(Math.max(0, from - 1));
        long longest = 0;
        for (int i = 1; i < ticks.size(); i++) {
            longest = Math.max(longest, ticks.get(i).atNs() - ticks.get(i - 1).atNs());
        }
        return longest / 1e6;
    }

    /** Work of the guest's own in a stretch of real time, or as long as two ticks take: ticks per second by their numbers. */
    double ticksPerSecond(Duration stretch) throws InterruptedException, DemoFailure {
        int first = serial.count();
        awaitTicks(1);
        long endNs = System.nanoTime() + stretch.toNanos();
        Deadline.await(
                "the end of a stretch",
                stretch.plus(BOOT),
                () -> System.nanoTime() >= endNs && serial.count() >= first + 2);
        List<Tick> ticks = serial.from(first);
        Tick begin = ticks.get(0);
        Tick end = ticks.get(ticks.size() - 1);
        return (end.number() - begin.number()) * 1e9 / (end.atNs() - begin.atNs());
    }

    @Override
    public void close() throws IOException {
        process.destroyForcibly();
        serial.close();
    }
}
