package io.lockstep.telemetry.replay;

import io.lockstep.telemetry.event.HardwareEvent;
import io.lockstep.telemetry.replay.LogStamp.Clock;
import io.lockstep.telemetry.source.CperLog;

/** Text line by line: a kernel log with whatever stands before its messages, or mcelog's. For one thread. */
final class KernelLogText {
    private final RecordingSink sink;
    private final long writtenMs;
    private final MachineCheckText machineChecks;
    private final CperLog firmware = new CperLog();
    private final KernelLines lines = new KernelLines();
    private RecordingFormat format = RecordingFormat.NONE;
    private boolean sinceBoot;
    private long lastMs;

    /** @param writtenMs when the text was last written, milliseconds since 1970 */
    KernelLogText(RecordingSink sink, long writtenMs) {
        this.sink = sink;
        this.writtenMs = writtenMs;
        machineChecks = new MachineCheckText(sink);
    }

    void line(String line, long number) {
        LogStamp stamp = LogStamp.of(line, writtenMs);
        boolean timed = stamp.clock() != Clock.NONE;
        lastMs = timed ? stamp.ms() : lastMs;
        sinceBoot |= stamp.clock() == Clock.BOOT;
        String text = stamp.text();
        boolean known = record(text, number, timed);
        boolean log = timed || text.contains("[Hardware Error]: ");
        if (log) {
            format = RecordingFormat.KERNEL_LOG;
        } else if (known && format == RecordingFormat.NONE) {
            format = text.startsWith("EDAC ") || text.startsWith("Memory failure")
                    ? RecordingFormat.KERNEL_LOG
                    : RecordingFormat.MCELOG;
        }
    }

    private boolean record(String text, long number, boolean timed) {
        if (timed) {
            firmware.quiet(lastMs, sink::event);
        }
        if (text.startsWith("{") && firmware.line(text, lastMs, sink::event)) {
            return true;
        }
        if (machineChecks.line(text, number, lastMs, timed)) {
            return true;
        }
        if (firmware.line(text, lastMs, sink::event)) {
            return true;
        }
        if (!timed) {
            // Without times a record is whole when another message comes.
            firmware.end(sink::event);
        }
        HardwareEvent event = lines.line(text, lastMs);
        if (event != null) {
            sink.event(event);
        }
        return event != null;
    }

    void end() {
        machineChecks.end();
        firmware.end(sink::event);
    }

    RecordingFormat format() {
        return format;
    }

    /** Whether times count from the start of the kernel. */
    boolean sinceBoot() {
        return sinceBoot;
    }
}
