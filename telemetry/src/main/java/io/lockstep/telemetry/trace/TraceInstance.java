package io.lockstep.telemetry.trace;

import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * An instance of our own in tracefs: other readers are not disturbed, and the kernel keeps its events while no reader lives, so that a
 * restart of the agent loses none. Linux Documentation/trace/ftrace.rst, "Instances".
 */
public final class TraceInstance {
    /** Events in more than one group on different kernels are named by every group; missing ones do no harm. */
    static final List<String> EVENTS = List.of(
            "mce/mce_record",
            "ras/mc_event",
            "ras/extlog_mem_event",
            "ras/aer_event",
            "ras/memory_failure_event",
            "memory_failure/memory_failure_event",
            "ras/arm_event",
            "ras/non_standard_event",
            "thermal/thermal_zone_trip",
            "cxl/cxl_aer_correctable_error",
            "cxl/cxl_aer_uncorrectable_error",
            "cxl/cxl_general_media",
            "cxl/cxl_dram",
            "cxl/cxl_memory_module",
            "cxl/cxl_overflow",
            "cxl/cxl_poison");

    /** Per CPU. 2 million events of 150 bytes a minute on one CPU are 5 MB/s: a tenth of a second; a reader that waits for the ring is faster. */
    static final int BUFFER_KIB = 512;

    private final Path directory;
    private final Map<Integer, Named> formats;

    /** An event and its layout. */
    record Named(String event, TraceFormat format) {}

    private TraceInstance(Path directory, Map<Integer, Named> formats) {
        this.directory = directory;
        this.formats = formats;
    }

    /**
     * Makes the instance, or takes up the one that an earlier life left, with the events that are in it.
     *
     * @param tracefs where it is mounted
     * @param name of the instance
     * @param events as group/name
     * @throws IOException if it cannot be made; the message names the file
     */
    public static TraceInstance open(Path tracefs, String name, List<String> events) throws IOException {
        Path directory = tracefs.resolve("instances").resolve(name);
        if (!Files.isDirectory(directory)) {
            Files.createDirectory(directory);
        }
        if (!Files.readString(directory.resolve("trace_clock")).contains("[mono]")) {
            // Changing the clock empties the ring: an instance that was taken up has it already.
            write(directory.resolve("trace_clock"), "mono");
        }
        write(directory.resolve("buffer_percent"), "0");
        if (!Files.readString(directory.resolve("buffer_size_kb")).strip().equals(Integer.toString(BUFFER_KIB))) {
            write(directory.resolve("buffer_size_kb"), Integer.toString(BUFFER_KIB));
        }
        Map<Integer, Named> formats = new TreeMap<>();
        for (String event : events) {
            Path home = directory.resolve("events").resolve(event);
            if (Files.isDirectory(home)) {
                TraceFormat format = TraceFormat.parse(Files.readString(home.resolve("format")));
                if (format != null && enabled(home.resolve("enable"))) {
                    formats.put(format.id(), new Named(event, format));
                }
            }
        }
        write(directory.resolve("tracing_on"), "1");
        return new TraceInstance(directory, formats);
    }

    /** One event that a kernel refuses costs none of the others; events of the kernel's own, such as markers, have no switch. */
    private static boolean enabled(Path enable) throws AccessDeniedException {
        try {
            if (Files.exists(enable)) {
                write(enable, "1");
            }
            return true;
        } catch (AccessDeniedException e) {
            throw e;
        } catch (IOException e) {
            return false;
        }
    }

    private static void write(Path file, String value) throws IOException {
        Files.writeString(file, value, StandardOpenOption.WRITE);
    }

    /** Its layouts by the events' numbers. */
    Map<Integer, Named> formats() {
        return formats;
    }

    /** The rings, one for each CPU that the kernel has ever seen; CPUs that are off line keep theirs. */
    List<Path> rings() throws IOException {
        List<Path> rings = new ArrayList<>();
        try (DirectoryStream<Path> cpus = Files.newDirectoryStream(directory.resolve("per_cpu"), "cpu*")) {
            cpus.forEach(cpu -> rings.add(cpu.resolve("trace_pipe_raw")));
        }
        rings.sort(null);
        return rings;
    }

    /** Ends it: the kernel forgets its events. Nobody may have its files open. */
    public void remove() throws IOException {
        Files.deleteIfExists(directory);
    }
}
