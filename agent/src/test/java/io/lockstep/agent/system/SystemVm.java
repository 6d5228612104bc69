package io.lockstep.agent.system;

import io.lockstep.replication.hypervisor.QmpConnection;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** A QEMU as anyone might have started it, with one monitor for the agent and one for the test. Machines are emulated: slower, but alike everywhere. */
record SystemVm(Process process, ChainLog chain, Path testQmp, Path log) {
    /** A tenth of a second of the guest's own time per sweep of 512 pages; small, so that a test's own recomputation is. */
    static final String CHAIN = "mb=16 pages=20 sweep=32";

    private static final long QMP_NS = 5_000_000_000L;

    /**
     * How to start one.
     *
     * @param prefix a program that starts QEMU in its own place; empty for none
     * @param options beside those that every VM here has
     */
    record Boot(String name, List<String> prefix, List<String> options) {
        /** The project's own small guest. */
        static Boot micro(String name, String... more) throws IOException, InterruptedException {
            List<String> options = new ArrayList<>(List.of("-m", "64M", "-machine", "q35", "-kernel"));
            options.add(Guests.file("micro.elf").toString());
            options.addAll(List.of("-append", CHAIN));
            options.addAll(List.of(more));
            return new Boot(name, List.of(), options);
        }

        /** Debian's kernel with the chain in user space; {@code kernelOptions} as {@code agent/guests/linux/init} knows them. */
        static Boot linux(String name, String kernelOptions, String... more) throws IOException, InterruptedException {
            return linuxOn(Guests.file("vmlinuz"), Guests.file("initrd.gz"), name, kernelOptions, more);
        }

        /** As {@link #linux}, with a kernel that has AHCI. */
        static Boot linuxWithSata(String name, String kernelOptions, String... more)
                throws IOException, InterruptedException {
            Path kernel = Guests.sataFile("sata.vmlinuz");
            return linuxOn(kernel, Guests.sataFile("sata.initrd.gz"), name, kernelOptions, more);
        }

        private static Boot linuxOn(Path kernel, Path initrd, String name, String kernelOptions, String... more) {
            List<String> options = new ArrayList<>(List.of("-m", "256M", "-machine", "q35", "-kernel"));
            options.add(kernel.toString());
            options.addAll(List.of("-initrd", initrd.toString()));
            options.addAll(List.of("-append", "console=ttyS0 loglevel=1 panic=-1 " + CHAIN + " " + kernelOptions));
            options.addAll(List.of(more));
            return new Boot(name, List.of(), options);
        }

        /** The same on another type of machine than q35. */
        Boot machine(String type) {
            List<String> changed = new ArrayList<>(options);
            changed.set(changed.indexOf("-machine") + 1, type);
            return new Boot(name, prefix, changed);
        }

        Boot startedBy(String... program) {
            return new Boot(name, List.of(program), options);
        }
    }

    static SystemVm start(Boot boot, Path directory) throws IOException {
        Path serial = directory.resolve(boot.name() + ".serial");
        Path log = directory.resolve(boot.name() + ".log");
        Path testQmp = directory.resolve(boot.name() + ".test.qmp");
        List<String> command = new ArrayList<>(boot.prefix());
        command.addAll(List.of("qemu-system-x86_64", "-name", boot.name(), "-accel", "tcg", "-nodefaults"));
        command.addAll(List.of("-display", "none", "-chardev", "file,id=serial,append=on,path=" + serial));
        command.addAll(List.of("-serial", "chardev:serial"));
        command.addAll(List.of("-qmp", "unix:" + directory.resolve(boot.name() + ".qmp") + ",server=on,wait=off"));
        command.addAll(List.of("-qmp", "unix:" + testQmp + ",server=on,wait=off"));
        command.addAll(boot.options());
        Process process = new ProcessBuilder(command)
                .redirectErrorStream(true)
                .redirectInput(Path.of("/dev/null").toFile())
                .redirectOutput(log.toFile())
                .start();
        return new SystemVm(process, new ChainLog(serial), testQmp, log);
    }

    long pid() {
        return process.pid();
    }

    /** The test's own monitor. */
    QmpConnection monitor() throws Exception {
        return QmpConnection.open(testQmp, QMP_NS);
    }

    /** SIGKILL; the chain may step back to a committed epoch once after it. */
    void kill() throws IOException {
        chain.cut();
        process.destroyForcibly();
    }

    /** What QEMU itself printed. */
    String printed() throws IOException {
        return Files.readString(log);
    }
}
