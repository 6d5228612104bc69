package io.lockstep.telemetry.source;

import java.util.ArrayList;
import java.util.List;

/**
 * What in the kernel's settings hides machine checks or delays them: Linux Documentation/arch/x86/x86_64/machinecheck.rst. Pure over a tree.
 */
public final class MachineCheckSettings {
    private static final String ROOT = "devices/system/machinecheck/machinecheck0";

    private MachineCheckSettings() {}

    /**
     * A setting that costs events.
     *
     * @param name short and stable
     * @param detail what was found, with the value
     * @param cure what to do
     */
    public record Hindrance(String name, String detail, String cure) {}

    /**
     * Looks.
     *
     * @param sysfs of {@code /sys}
     * @param procfs of {@code /proc}
     * @param tracefs where it is mounted, whose rasdaemon instance shows whether somebody reads it
     */
    public static List<Hindrance> look(Sysfs sysfs, Sysfs procfs, Sysfs tracefs) {
        List<Hindrance> found = new ArrayList<>();
        if (!sysfs.exists(ROOT)) {
            found.add(new Hindrance(
                    "machine-check",
                    "/sys/" + ROOT + " is not there: this kernel does not report machine checks",
                    "Boot a kernel with CONFIG_X86_MCE, without mce=off; many virtual machines have none."));
            return found;
        }
        if (sysfs.number(ROOT + "/ignore_ce", 0) != 0) {
            found.add(new Hindrance(
                    "ignore-ce",
                    "ignore_ce is 1: corrected errors are not looked for",
                    "echo 0 > /sys/" + ROOT + "/ignore_ce"));
        }
        if (sysfs.number(ROOT + "/dont_log_ce", 0) != 0) {
            found.add(new Hindrance(
                    "dont-log-ce",
                    "dont_log_ce is 1: corrected errors are not told",
                    "echo 0 > /sys/" + ROOT + "/dont_log_ce"));
        }
        long interval = sysfs.number(ROOT + "/check_interval", 0);
        if (sysfs.number(ROOT + "/cmci_disabled", 0) != 0) {
            found.add(new Hindrance(
                    "cmci",
                    "cmci_disabled is 1: a corrected error shows up to " + interval + " s late",
                    "echo 0 > /sys/" + ROOT + "/cmci_disabled, or a shorter check_interval there."));
        }
        if (interval == 0) {
            found.add(new Hindrance(
                    "check-interval",
                    "check_interval is 0: errors without an interrupt are never found",
                    "echo 300 > /sys/" + ROOT + "/check_interval"));
        }
        String commandLine = " " + procfs.read("cmdline") + " ";
        for (String option : List.of(
                "mce=off", "mce=ignore_ce", "mce=no_cmci", "mce=dont_log_ce", "ghes.disable=1", "hest_disable")) {
            if (commandLine.contains(" " + option + " ")) {
                found.add(new Hindrance(
                        "command-line",
                        "the kernel was booted with " + option,
                        "Take " + option + " off its command line."));
            }
        }
        if (sysfs.exists("kernel/debug/ras/cec") && !commandLine.contains(" ras=cec_disable ")) {
            found.add(new Hindrance(
                    "ras-cec",
                    "the kernel's corrected errors collector is on: it keeps memory errors from EDAC, not from us",
                    "ras=cec_disable on the kernel's command line lets other tools see them."));
        }
        if (HestTable.firmwareFirst(sysfs.bytes("firmware/acpi/tables/HEST"))) {
            found.add(new Hindrance(
                    "firmware-first",
                    "the firmware takes machine checks first (HEST): the kernel sees what it passes on, and when",
                    "Turn firmware-first error handling (EMCA, FFM) off in the firmware's setup, if it can be."));
        }
        deaf(tracefs, found);
        return found;
    }

    /** Other readers' rings that fill: their owners tell nothing of what is in them. Our own are read by whoever asks. */
    private static void deaf(Sysfs tracefs, List<Hindrance> found) {
        for (String name : tracefs.names("instances", "(?!lockstep).*")) {
            String instance = "instances/" + name;
            boolean hardware = name.equals("rasdaemon")
                    || enabled(tracefs.read(instance + "/events/mce/enable"))
                    || enabled(tracefs.read(instance + "/events/ras/enable"));
            long waiting = hardware ? waiting(tracefs, instance) : 0;
            if (waiting > 0) {
                found.add(new Hindrance(
                        name.equals("rasdaemon") ? "rasdaemon" : "trace-reader",
                        name + " has " + waiting + " events that it has not read: it waits for its ring to fill",
                        "echo 0 > /sys/kernel/tracing/" + instance + "/buffer_percent"));
            }
        }
    }

    /** 1: all events of the group; X: some of them. */
    private static boolean enabled(String enable) {
        return enable.equals("1") || enable.equals("X");
    }

    private static long waiting(Sysfs tracefs, String instance) {
        long waiting = 0;
        for (String cpu : tracefs.names(instance + "/per_cpu", "cpu\\d{1,5}")) {
            for (String line :
                    tracefs.read(instance + "/per_cpu/" + cpu + "/stats").split("\n", -1)) {
                waiting += line.startsWith("entries:")
                        ? Math.max(0, Sysfs.parse(line.substring(8).strip(), 0))
                        : 0;
            }
        }
        return waiting;
    }
}
