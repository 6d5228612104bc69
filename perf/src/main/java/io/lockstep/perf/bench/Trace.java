package io.lockstep.perf.bench;

import io.lockstep.replication.trace.EpochStage;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import jdk.jfr.consumer.RecordedEvent;
import jdk.jfr.consumer.RecordingFile;

/** Flight Recorder in agents of a lab: when each step of each epoch was done, and what their JVMs did meanwhile. */
final class Trace {
    private static final String EVENT = "lockstep.EpochStep";
    private static final String SETTINGS = """
            <?xml version="1.0" encoding="UTF-8"?>
            <configuration version="2.0">
              <event name="lockstep.EpochStep"><setting name="enabled">true</setting></event>
              <event name="jdk.GarbageCollection"><setting name="enabled">true</setting><setting name="threshold">0 ms</setting></event>
              <event name="jdk.ExecuteVMOperation"><setting name="enabled">true</setting><setting name="threshold">0 ms</setting></event>
            </configuration>
            """;

    /** Something that a JVM did to all of its threads; times as {@link System#nanoTime()}. */
    record Stop(String what, long beginNs, long endNs) {}

    /**
     * What was recorded.
     *
     * @param epochs of each, when each step was done, by the step's code; 0 if it was not seen
     * @param stops collections and safepoints of their JVMs
     */
    record Recorded(Map<Long, long[]> epochs, List<Stop> stops) {}

    /** From one moment to another, {@link System#nanoTime()}. */
    record Stretch(long fromNs, long toNs) {}

    private final Lab lab;
    private final List<Long> pids;

    private Trace(Lab lab, List<Long> pids) {
        this.lab = lab;
        this.pids = pids;
    }

    /** Starts recording in both agents. */
    static Trace start(Lab lab) throws Exception {
        return start(lab, lab.agentPids());
    }

    /** Starts recording in the primary's agent alone, which knows all of a pause. */
    static Trace startOnPrimary(Lab lab) throws Exception {
        return start(lab, lab.agentPids().subList(0, 1));
    }

    private static Trace start(Lab lab, List<Long> pids) throws Exception {
        Path settings = lab.directory().resolve("trace.jfc");
        Files.writeString(settings, SETTINGS);
        for (long pid : pids) {
            jcmd(pid, "JFR.start", "name=bench", "settings=" + settings);
        }
        return new Trace(lab, pids);
    }

    /** Ends what was started. */
    void stop() throws Exception {
        for (long pid : pids) {
            jcmd(pid, "JFR.stop", "name=bench");
        }
    }

    /**
     * Reads what was done between two moments, {@link System#nanoTime()}; the recording goes on. The second is to be taken before this is called:
     * each reading starts a JVM, which wants a processor for half a second and would be measured with the rest.
     */
    Recorded between(long fromNs, long toNs) throws Exception {
        return of(List.of(new Stretch(fromNs, toNs))).get(0);
    }

    /** The same of each of some stretches, with one reading. */
    List<Recorded> of(List<Stretch> stretches) throws Exception {
        List<Recorded> all = new ArrayList<>();
        for (int i = 0; i < stretches.size(); i++) {
            all.add(new Recorded(new TreeMap<>(), new ArrayList<>()));
        }
        for (long pid : pids) {
            Path file = lab.directory().resolve(pid + ".jfr");
            jcmd(pid, "JFR.dump", "name=bench", "filename=" + file);
            List<RecordedEvent> events = RecordingFile.readAllEvents(file);
            for (int i = 0; i < stretches.size(); i++) {
                Stretch stretch = stretches.get(i);
                List<RecordedEvent> within = new ArrayList<>(events);
                within.removeIf(event -> event.getEventType().getName().equals(EVENT)
                        && (event.getLong("atNs") < stretch.fromNs || event.getLong("atNs") > stretch.toNs));
                read(within, all.get(i).epochs(), all.get(i).stops());
            }
            Files.delete(file);
        }
        return all;
    }

    /** Steps carry {@link System#nanoTime()}, other events the time of day: the quickest step tells how the two differ. */
    static void read(List<RecordedEvent> events, Map<Long, long[]> epochs, List<Stop> stops) {
        long offsetNs = Long.MAX_VALUE;
        for (RecordedEvent event : events) {
            if (event.getEventType().getName().equals(EVENT)) {
                long atNs = event.getLong("atNs");
                offsetNs = Math.min(offsetNs, nanos(event.getStartTime()) - atNs);
                long[] steps = epochs.computeIfAbsent(event.getLong("epoch"), epoch -> new long[EpochStage.COUNT]);
                steps[EpochStage.valueOf(event.getString("stage")).code()] = atNs;
            }
        }
        for (RecordedEvent event : events) {
            String type = event.getEventType().getName();
            if (!type.equals(EVENT) && offsetNs != Long.MAX_VALUE) {
                long begin = nanos(event.getStartTime()) - offsetNs;
                String what = type.equals("jdk.GarbageCollection")
                        ? "collector (" + event.getString("name") + ")"
                        : "safepoint (" + event.getString("operation") + ")";
                stops.add(new Stop(what, begin, begin + event.getDuration().toNanos()));
            }
        }
    }

    private static long nanos(Instant instant) {
        return Duration.between(Instant.EPOCH, instant).toNanos();
    }

    private static void jcmd(long pid, String... arguments) throws IOException, InterruptedException {
        List<String> command = new ArrayList<>();
        command.add(Path.of(System.getProperty("java.home"), "bin", "jcmd").toString());
        command.add(Long.toString(pid));
        command.addAll(List.of(arguments));
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        String printed = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        if (process.waitFor() != 0) {
            throw new IOException(String.join(" ", command) + ": " + printed.strip());
        }
    }
}
