package io.lockstep.agent.daemon;

import io.lockstep.agent.view.ErrorView;
import java.io.IOException;
import java.io.Reader;
import java.io.Writer;
import java.net.URLDecoder;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** How the last drill of each replica went, in a file for each: a restart of the agent does not make a drill that failed forgotten. Any thread. */
final class DrillRecords {
    private static final Logger LOG = LoggerFactory.getLogger(DrillRecords.class);
    private static final String SUFFIX = ".drill";

    private final Path directory;
    private final Map<String, Entry> records = new ConcurrentHashMap<>();

    /**
     * What is known of one; milliseconds since 1970.
     *
     * @param sinceMs when the replica was first seen
     * @param lastMs when the last drill ended; 0: never
     * @param passedMs when the last one ended that went well; 0: never
     * @param totalMs how long that one took
     * @param runs since this agent started
     * @param failures of them
     * @param error of the last one; null if it went well
     */
    record Entry(
            long sinceMs,
            long lastMs,
            long passedMs,
            double totalMs,
            long runs,
            long failures,
            @Nullable ErrorView error) {}

    DrillRecords(Path directory) {
        this.directory = directory;
        if (Files.isDirectory(directory)) {
            try (Stream<Path> files = Files.list(directory)) {
                files.filter(file -> file.toString().endsWith(SUFFIX)).forEach(this::load);
            } catch (IOException e) {
                LOG.warn("earlier drills are forgotten: {}", e.toString());
            }
        }
    }

    private void load(Path file) {
        Properties fields = new Properties();
        try (Reader reader = Files.newBufferedReader(file)) {
            fields.load(reader);
            String code = fields.getProperty("code", "");
            long lastMs = number(fields, "lastMs");
            String name = String.valueOf(file.getFileName());
            records.put(
                    URLDecoder.decode(name.substring(0, name.length() - SUFFIX.length()), StandardCharsets.UTF_8),
                    new Entry(
                            number(fields, "sinceMs"),
                            lastMs,
                            number(fields, "passedMs"),
                            Double.parseDouble(fields.getProperty("totalMs", "0")),
                            0,
                            0,
                            code.isEmpty() ? null : new ErrorView(code, fields.getProperty("message", ""), lastMs)));
        } catch (IOException | IllegalArgumentException e) {
            LOG.warn("{} is no record of a drill: {}", file, e.toString());
        }
    }

    private static long number(Properties fields, String name) {
        return Long.parseLong(fields.getProperty(name, "0"));
    }

    /** What is known of one, which may be nothing. */
    Entry peek(String vm, long nowMs) {
        Entry known = records.get(vm);
        return known != null ? known : new Entry(nowMs, 0, 0, 0, 0, 0, null);
    }

    /** What is known of one; it is known from now on. */
    synchronized Entry of(String vm, long nowMs) {
        Entry known = records.get(vm);
        return known != null ? known : put(vm, new Entry(nowMs, 0, 0, 0, 0, 0, null));
    }

    synchronized void passed(String vm, long nowMs, double totalMs) {
        Entry old = of(vm, nowMs);
        put(vm, new Entry(old.sinceMs, nowMs, nowMs, totalMs, old.runs + 1, old.failures, null));
    }

    synchronized void failed(String vm, long nowMs, String code, String message) {
        Entry old = of(vm, nowMs);
        ErrorView error = new ErrorView(code, message, nowMs);
        put(vm, new Entry(old.sinceMs, nowMs, old.passedMs, old.totalMs, old.runs + 1, old.failures + 1, error));
    }

    /** Forgets all others. */
    synchronized void retain(Set<String> known) {
        for (String vm : List.copyOf(records.keySet())) {
            if (!known.contains(vm)) {
                records.remove(vm);
                try {
                    Files.deleteIfExists(file(vm));
                } catch (IOException e) {
                    LOG.warn("{} stays: {}", file(vm), e.toString());
                }
            }
        }
    }

    private Entry put(String vm, Entry record) {
        records.put(vm, record);
        Properties fields = new Properties();
        fields.setProperty("sinceMs", Long.toString(record.sinceMs));
        fields.setProperty("lastMs", Long.toString(record.lastMs));
        fields.setProperty("passedMs", Long.toString(record.passedMs));
        fields.setProperty("totalMs", Double.toString(record.totalMs));
        ErrorView error = record.error;
        if (error != null) {
            fields.setProperty("code", error.code());
            fields.setProperty("message", error.message());
        }
        Path file = file(vm);
        Path next = file.resolveSibling(file.getFileName() + ".new");
        try {
            Files.createDirectories(directory);
            try (Writer writer = Files.newBufferedWriter(next)) {
                fields.store(writer, null);
            }
            Files.move(next, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        } catch (IOException e) {
            LOG.warn("{} cannot be written, a restart forgets it: {}", file, e.toString());
        }
        return record;
    }

    private Path file(String vm) {
        return directory.resolve(URLEncoder.encode(vm, StandardCharsets.UTF_8) + SUFFIX);
    }
}
