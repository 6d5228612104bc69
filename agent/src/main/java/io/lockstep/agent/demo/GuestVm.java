package io.lockstep.agent.demo;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/** A QEMU process with a guest, as anyone might have started it: nothing in its command line is there for Lockstep's sake but its QMP socket. */
public final class GuestVm {
    /** KVM that works shows the first tick within 0.3 s; a nested one that is broken never does. */
    private static final Duration KVM_PROBE = Duration.ofMillis(1500);

    private final Process process;
    private final String name;

    private GuestVm(Process process, String name) {
        this.process = process;
        this.name = name;
    }

    /**
     * Starts QEMU; its files are in {@code directory}: {@code NAME.serial}, {@code NAME.qmp}, {@code NAME.log}.
     *
     * @throws IOException if QEMU cannot be executed
     */
    public static GuestVm start(Guest guest, String name, String accelerator, Path guests, Path directory)
            throws IOException {
        return start(List.of(), guest, name, accelerator, List.of(), guest.bootArguments(guests), directory);
    }

    /**
     * As above, with more devices and, for the linux guest's kernel, options.
     *
     * @param prefix a command that runs QEMU; empty if it is run as it is
     */
    static GuestVm startWith(
            List<String> prefix,
            Guest guest,
            String name,
            String accelerator,
            List<String> devices,
            String options,
            Path guests,
            Path directory)
            throws IOException {
        return start(prefix, guest, name, accelerator, devices, guest.bootArguments(guests, options), directory);
    }

    private static GuestVm start(
            List<String> prefix,
            Guest guest,
            String name,
            String accelerator,
            List<String> devices,
            List<String> boot,
            Path directory)
            throws IOException {
        List<String> command = new ArrayList<>(prefix);
        command.addAll(List.of("qemu-system-x86_64", "-name", name, "-machine", "q35"));
        command.addAll(
                List.of("-accel", accelerator, "-m", guest.memoryMib() + "M", "-nodefaults", "-display", "none"));
        command.addAll(List.of("-chardev", "file,id=serial,append=on,path=" + directory.resolve(name + ".serial")));
        command.addAll(List.of("-serial", "chardev:serial"));
        command.addAll(List.of("-qmp", "unix:" + directory.resolve(name + ".qmp") + ",server=on,wait=off"));
        command.addAll(devices);
        command.addAll(boot);
        Process process = new ProcessBuilder(command)
                .redirectErrorStream(true)
                .redirectInput(ProcessBuilder.Redirect.from(Path.of("/dev/null").toFile()))
                .redirectOutput(directory.resolve(name + ".log").toFile())
                .start();
        return new GuestVm(process, name);
    }

    /** {@code kvm} if a guest really runs under it here, else {@code tcg}. Takes up to 1.5 s. */
    public static String accelerator(Path guests, Path directory) throws IOException, InterruptedException {
        Path device = Path.of("/dev/kvm");
        if (!Files.isReadable(device) || !Files.isWritable(device)) {
            return "tcg";
        }
        try (SerialLog log = new SerialLog(directory.resolve("kvm-probe.serial"))) {
            GuestVm probe = start(Guest.MICRO, "kvm-probe", "kvm", guests, directory);
            try {
                Deadline.await("a tick under KVM", KVM_PROBE, () -> log.count() > 0 || !probe.process.isAlive());
                return log.count() > 0 ? "kvm" : "tcg";
            } catch (DemoFailure e) {
                return "tcg";
            } finally {
                probe.kill();
            }
        }
    }

    /** QEMU's process. */
    public long pid() {
        return process.pid();
    }

    /** As given with {@code -name}. */
    public String name() {
        return name;
    }

    public boolean isAlive() {
        return process.isAlive();
    }

    /** SIGKILL; returns at once. */
    public void kill() {
        process.destroyForcibly();
    }
}
