package io.lockstep.telemetry.guest;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Predicate;

/**
 * A virtual machine with the distribution's own kernel, in which errors are raised: from outside through QEMU's monitor, from inside through a
 * shell. What its watch over the hardware says is read from a serial port.
 */
final class HardwareGuest implements AutoCloseable {
    /** Far beyond what a boot takes on a busy machine without KVM: about 15 s. */
    private static final Duration BOOT = Duration.ofSeconds(150);

    /** Far beyond what an event takes: the kernel looks for corrected errors once a second. */
    private static final Duration EVENT = Duration.ofSeconds(60);

    private final Path directory;
    private final Process qemu;
    private final LineChannel monitor;
    private final LineChannel shell;
    private final LineChannel watch;
    private int reports;

    private HardwareGuest(Path directory, Process qemu) throws Exception {
        this.directory = directory;
        this.qemu = qemu;
        monitor = connect("monitor");
        shell = connect("shell");
        watch = connect("watch");
        monitor.write("{\"execute\":\"qmp_capabilities\"}");
        monitor.await(line -> line.startsWith("{\"return\""), EVENT);
    }

    /**
     * Starts one; it is still booting.
     *
     * @param directory of its own, for sockets and logs
     * @param append options on the kernel's command line
     * @param more options of QEMU
     */
    static HardwareGuest start(Path directory, GuestImage image, String append, List<String> more) throws Exception {
        Files.createDirectories(directory);
        List<String> command = new ArrayList<>(List.of(
                "qemu-system-x86_64",
                "-accel",
                // One thread for both processors. With one each, QEMU before 8.1 may translate an instruction while the
                // other processor writes it, as the kernel does to every tracepoint that is turned on or off: the
                // processor stays at a breakpoint that is long gone, and the guest hangs.
                "tcg,thread=single",
                "-machine",
                "q35",
                "-m",
                "1024",
                "-smp",
                "2",
                "-nodefaults",
                "-display",
                "none",
                "-serial",
                "file:" + directory.resolve("console"),
                "-serial",
                "unix:" + directory.resolve("shell") + ",server=on,wait=off",
                "-serial",
                "unix:" + directory.resolve("watch") + ",server=on,wait=off",
                "-qmp",
                "unix:" + directory.resolve("monitor") + ",server=on,wait=off",
                "-kernel",
                image.kernel().toString(),
                "-initrd",
                image.initrd().toString(),
                "-append",
                "console=ttyS0 panic=1 " + append));
        command.addAll(more);
        Process qemu = new ProcessBuilder(command)
                .redirectErrorStream(true)
                .redirectOutput(directory.resolve("qemu.log").toFile())
                .start();
        try {
            return new HardwareGuest(directory, qemu);
        } catch (Exception | Error e) {
            qemu.destroyForcibly();
            throw new AssertionError(Files.readString(directory.resolve("qemu.log")), e);
        }
    }

    private LineChannel connect(String name) throws Exception {
        Path socket = directory.resolve(name);
        long deadline = System.nanoTime() + EVENT.toNanos();
        while (true) {
            try {
                return new LineChannel(socket);
            } catch (IOException e) {
                if (System.nanoTime() > deadline || !qemu.isAlive()) {
                    throw e;
                }
                Thread.sleep(20);
            }
        }
    }

    /** Waits until it has booted, for the first time or again. */
    void awaitUp() throws InterruptedException {
        told(() -> shell.await("up"::equals, BOOT));
    }

    /** Gives QEMU a command of its human monitor, and its answer. */
    String monitor(String command) throws Exception {
        monitor.write("{\"execute\":\"human-monitor-command\",\"arguments\":{\"command-line\":\"" + command + "\"}}");
        String answer = monitor.await(line -> line.startsWith("{\"return\"") || line.startsWith("{\"error\""), EVENT);
        if (!answer.startsWith("{\"return\"")) {
            throw new AssertionError(command + ": " + answer);
        }
        return answer.replaceFirst("\\{\"return\": \"(.*)\"\\}", "$1");
    }

    /** Runs a command in the guest's shell; its output. It must end with status 0. */
    String shell(String command) throws Exception {
        int before = shell.all().size();
        shell.write("{ " + command + "; } 2>&1; status=$?; echo; echo \"status $status\"");
        String status = told(() -> shell.await(line -> line.startsWith("status "), EVENT));
        List<String> all = shell.all();
        String output = String.join("\n", all.subList(before, all.size() - 1));
        if (!status.equals("status 0")) {
            throw new AssertionError(command + ": " + output + ", " + status);
        }
        return output.strip();
    }

    /** Starts the watch over the hardware, with a directory in which it remembers. */
    void startWatch() throws Exception {
        shell("/agent/watch /tmp/state </dev/null >&4 2>/tmp/watch.err & echo $! >/tmp/watch.pid");
        told(() -> watch.await("watching"::equals, BOOT));
    }

    /** Kills the watch as nothing can be caught, and waits until it is gone. */
    void killWatch() throws Exception {
        shell("kill -9 $(cat /tmp/watch.pid); while [ -e /proc/$(cat /tmp/watch.pid)/exe ]; do usleep 10000; done");
    }

    /** Physical addresses of pages that a program in the guest keeps, so that nothing else is hit when they break. */
    List<Long> pages(int count) throws Exception {
        // The file is there before the program in the background that fills it may have started.
        shell(": >/tmp/pages; page hold " + count + " </dev/null >>/tmp/pages & while [ $(wc -l </tmp/pages) -lt "
                + count + " ]; do usleep 10000; done");
        List<Long> pages = shell("cat /tmp/pages")
                .lines()
                .map(line -> Long.parseLong(line, 16))
                .toList();
        if (pages.size() != count) {
            throw new AssertionError(count + " pages were asked for, and the guest keeps " + pages.size());
        }
        return pages;
    }

    /** Has the kernel log a machine check as if it had read it from a bank. */
    void inject(int cpu, int bank, long status, long address, long misc) throws Exception {
        shell(String.format(
                "cd /sys/kernel/debug/mce-inject && echo sw >flags && echo %d >cpu && echo 0x%x >status && echo 0x%x >addr"
                        + " && echo 0x%x >misc && echo %d >bank",
                cpu, status, address, misc, bank));
    }

    /** Has the kernel find a corrected PCIe error of 0000:00:01.0: {@code struct aer_error_inj} of {@code drivers/pci/pcie/aer_inject.c}. */
    void injectPcie(int status) throws Exception {
        StringBuilder error = new StringBuilder("\\000\\001\\000\\000\\000\\000\\000\\000");
        error.append(String.format("\\%03o\\%03o\\000\\000", status & 0xff, status >> 8));
        shell("printf '" + error + "\\000".repeat(20) + "' >/dev/aer_inject");
    }

    /** Has the firmware show a block, and waits until the kernel has taken it. */
    void firmware(byte[] block) throws Exception {
        // The kernel prints two reports in five seconds and leaves others out (ghes_print_estatus of
        // drivers/acpi/apei/ghes.c).
        if (++reports % 2 == 0) {
            shell("sleep 6");
        }
        StringBuilder text = new StringBuilder();
        for (int at = 4; at < block.length; at++) {
            text.append(String.format("\\%03o", block[at] & 0xff));
        }
        // Its first word, which says that there is a block, comes last.
        shell("printf '" + text + "' | dd of=/dev/mem bs=4 seek=" + (Firmware.BLOCK + 4) / 4
                + " conv=notrunc 2>/dev/null && devmem " + Firmware.BLOCK + " 32 " + (block[0] & 0xff)
                + " && while [ $(($(devmem " + Firmware.BLOCK + " 32))) != 0 ]; do usleep 50000; done");
    }

    /** Everything that the watches of this guest saw until now, in order. */
    List<Seen> seen() {
        return watch.all().stream()
                .filter(line -> line.startsWith(Seen.WORD + "\t"))
                .map(Seen::parse)
                .toList();
    }

    /** What the watches said that is no event. */
    List<String> said() {
        return watch.all().stream()
                .filter(line -> !line.startsWith(Seen.WORD + "\t"))
                .toList();
    }

    /** Waits until an event was seen, since the start of the guest. */
    Seen await(String what, Predicate<Seen> wanted) throws InterruptedException {
        long deadline = System.nanoTime() + EVENT.toNanos();
        while (true) {
            int lines = watch.all().size();
            List<Seen> seen = seen();
            for (Seen event : seen) {
                if (wanted.test(event)) {
                    return event;
                }
            }
            if (System.nanoTime() > deadline || !qemu.isAlive()) {
                StringBuilder text = new StringBuilder("not seen: " + what + "; seen:");
                seen.forEach(event ->
                        text.append("\n  ").append(event.line()).append(" | ").append(event.raw()));
                throw new AssertionError(text + "\n" + console());
            }
            watch.awaitMore(lines, Duration.ofSeconds(1));
        }
    }

    /** Waits until the watch has said a line that is no event. */
    String awaitSaid(Predicate<String> wanted) throws InterruptedException {
        long deadline = System.nanoTime() + EVENT.toNanos();
        while (true) {
            int lines = watch.all().size();
            for (String line : said()) {
                if (wanted.test(line)) {
                    return line;
                }
            }
            if (System.nanoTime() > deadline || !qemu.isAlive()) {
                throw new AssertionError("not said; said:\n" + String.join("\n", said()) + "\n" + console());
            }
            watch.awaitMore(lines, Duration.ofSeconds(1));
        }
    }

    private interface Wait {
        String get() throws InterruptedException;
    }

    private String told(Wait wait) throws InterruptedException {
        try {
            return wait.get();
        } catch (AssertionError e) {
            throw new AssertionError(e.getMessage() + "\n" + console(), e);
        }
    }

    /** The end of what the kernel said, for a failing test. */
    private String console() {
        try {
            List<String> lines = new String(Files.readAllBytes(directory.resolve("console")), UTF_8)
                    .lines()
                    .toList();
            return "console:\n" + String.join("\n", lines.subList(Math.max(0, lines.size() - 60), lines.size()));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Override
    public void close() throws IOException {
        qemu.destroyForcibly().onExit().join();
        monitor.close();
        shell.close();
        watch.close();
    }
}
