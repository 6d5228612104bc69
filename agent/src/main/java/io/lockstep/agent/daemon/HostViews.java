package io.lockstep.agent.daemon;

import io.lockstep.agent.view.HardwareView;
import io.lockstep.agent.view.HostView;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/** What the kernel tells of this machine. */
final class HostViews {
    private static final int KIB = 1024;

    private HostViews() {}

    static HostView of(HardwareView hardware) {
        return new HostView(
                line("/proc/sys/kernel/hostname"),
                line("/proc/sys/kernel/osrelease"),
                System.getProperty("os.arch", ""),
                Runtime.getRuntime().availableProcessors(),
                memoryBytes(),
                line("/etc/machine-id"),
                line("/proc/sys/kernel/random/boot_id"),
                line("/sys/class/dmi/id/product_uuid"),
                hardware.state(),
                hardware.modules().stream().map(HardwareView.Module::component).toList());
    }

    private static String line(String file) {
        try {
            return Files.readString(Path.of(file)).strip();
        } catch (IOException e) {
            return "";
        }
    }

    private static long memoryBytes() {
        try {
            List<String> lines = Files.readAllLines(Path.of("/proc/meminfo"));
            return Long.parseLong(lines.get(0).replaceAll("[^0-9]", "")) * KIB;
        } catch (IOException | NumberFormatException | IndexOutOfBoundsException e) {
            return 0;
        }
    }
}
