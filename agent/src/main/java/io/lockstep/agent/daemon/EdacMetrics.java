package io.lockstep.agent.daemon;

import io.lockstep.agent.metrics.Metric;
import io.lockstep.agent.metrics.MetricsText;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;

/** The kernel's own counts of memory errors, under node_exporter's names (its collector/edac_linux.go). */
final class EdacMetrics {
    private static final Path CONTROLLERS = Path.of("/sys/devices/system/edac/mc");

    private EdacMetrics() {}

    static void add(MetricsText text) {
        add(text, CONTROLLERS);
    }

    /** @param controllers the directory of {@code mc0} and its like */
    static void add(MetricsText text, Path controllers) {
        try (DirectoryStream<Path> all = Files.newDirectoryStream(controllers, "mc[0-9]*")) {
            for (Path controller : all) {
                String number = number(controller, "mc");
                count(text, Metric.EDAC_CORRECTABLE, controller.resolve("ce_count"), "controller", number);
                count(text, Metric.EDAC_UNCORRECTABLE, controller.resolve("ue_count"), "controller", number);
                rows(text, controller, number);
            }
        } catch (IOException e) {
            // No memory controller driver: nothing is counted.
        }
    }

    private static void rows(MetricsText text, Path controller, String number) throws IOException {
        // What has no row is counted under one of its own, as node_exporter does.
        String none = "unknown";
        count(
                text,
                Metric.EDAC_CSROW_CORRECTABLE,
                controller.resolve("ce_noinfo_count"),
                "controller",
                number,
                "csrow",
                none);
        count(
                text,
                Metric.EDAC_CSROW_UNCORRECTABLE,
                controller.resolve("ue_noinfo_count"),
                "controller",
                number,
                "csrow",
                none);
        try (DirectoryStream<Path> rows = Files.newDirectoryStream(controller, "csrow[0-9]*")) {
            for (Path row : rows) {
                String csrow = number(row, "csrow");
                count(
                        text,
                        Metric.EDAC_CSROW_CORRECTABLE,
                        row.resolve("ce_count"),
                        "controller",
                        number,
                        "csrow",
                        csrow);
                count(
                        text,
                        Metric.EDAC_CSROW_UNCORRECTABLE,
                        row.resolve("ue_count"),
                        "controller",
                        number,
                        "csrow",
                        csrow);
            }
        }
    }

    private static String number(Path directory, String prefix) {
        return String.valueOf(directory.getFileName()).substring(prefix.length());
    }

    private static void count(MetricsText text, Metric metric, Path file, String... labels) {
        try {
            text.add(metric, Long.parseLong(Files.readString(file).strip()), labels);
        } catch (IOException | NumberFormatException e) {
            // Not every driver has every file.
        }
    }
}
