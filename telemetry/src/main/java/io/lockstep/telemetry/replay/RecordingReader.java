package io.lockstep.telemetry.replay;

import io.lockstep.telemetry.decode.MachineCheck;
import io.lockstep.telemetry.decode.MachineCheckDecoder;
import io.lockstep.telemetry.source.PstoreSource;
import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * Reads a recording from its beginning to its end; which of the {@linkplain RecordingFormat forms} it has, its content tells. Holds one line at a
 * time, however long the file is. For one thread.
 */
public final class RecordingReader implements AutoCloseable {
    /** A line: 10,000 events of a kilobyte and a half, which an agent gives at most in one answer. */
    static final int LINE_BYTES_MAX = 16 << 20;

    /** A raw machine check: {@code struct mce} of Linux 6.1. */
    static final int RECORD_BYTES = 128;

    /** {@code X86_VENDOR_NUM} and {@code X86_VENDOR_UNKNOWN} of arch/x86/include/asm/processor.h. */
    private static final int VENDOR_MAX = 12;

    private static final int VENDOR_UNKNOWN = 0xff;

    /** In the year 2106 seconds pass 32 bits. */
    static final long WALL_MS_MAX = 0xffff_ffffL * 1000;

    /** Looked at to tell the form. */
    private static final int HEAD_BYTES = 4096;

    private static final long VALID = 1L << 63;

    private final InputStream in;
    private final RecordingFormat head;
    private final RecordingSink sink;
    private final KernelLogText text;
    private final JsonText json;
    private long number;
    private boolean ended;

    private RecordingReader(InputStream in, long writtenMs, RecordingSink sink) throws IOException {
        this.in = in;
        this.sink = sink;
        head = head(in);
        text = new KernelLogText(sink, writtenMs);
        json = new JsonText(sink, writtenMs);
    }

    /**
     * Opens a recording.
     *
     * @param sink gets what is in it, during {@link #next}
     * @throws IOException if it cannot be read
     */
    public static RecordingReader open(Path file, RecordingSink sink) throws IOException {
        long writtenMs = Files.getLastModifiedTime(file).toMillis();
        InputStream in = new BufferedInputStream(Files.newInputStream(file), 2 * HEAD_BYTES);
        try {
            return new RecordingReader(in, writtenMs, sink);
        } catch (IOException e) {
            in.close();
            throw e;
        }
    }

    private static RecordingFormat head(InputStream in) throws IOException {
        in.mark(HEAD_BYTES);
        byte[] bytes = in.readNBytes(HEAD_BYTES);
        in.reset();
        // No record is without one; a log may hold some, too, where a host went down.
        for (int i = 0; i < Math.min(bytes.length, RECORD_BYTES); i++) {
            if (bytes[i] == 0) {
                return RecordingFormat.MCE_RECORDS;
            }
        }
        String start =
                new String(bytes, StandardCharsets.UTF_8).replace("\uFEFF", "").stripLeading();
        // A kernel log begins with a bracket, too: [   12.345678]
        boolean array =
                start.startsWith("[") && start.substring(1).stripLeading().matches("(?s)(\\{|\\]).*");
        boolean object = start.matches("(?s)\\{\\s*[\"}].*");
        return array || object ? RecordingFormat.JSON : RecordingFormat.NONE;
    }

    /** What it is, as far as it was read. */
    public RecordingFormat format() {
        return head == RecordingFormat.NONE ? text.format() : head;
    }

    /** Whether its times count from the start of the kernel, and not from 1970. */
    public boolean timesSinceBoot() {
        return text.sinceBoot();
    }

    /**
     * Reads the next line or record.
     *
     * @return whether there may be more
     * @throws IOException if it cannot be read
     */
    public boolean next() throws IOException {
        if (ended) {
            return false;
        }
        ended = head == RecordingFormat.MCE_RECORDS ? !record() : !line();
        if (ended) {
            json.end();
            text.end();
            if (format() == RecordingFormat.NONE && number > 0) {
                sink.malformed(1, "neither JSON lines, raw machine checks, a kernel log nor mcelog's text");
            }
        }
        return !ended;
    }

    private boolean record() throws IOException {
        byte[] bytes = in.readNBytes(RECORD_BYTES);
        if (bytes.length == 0) {
            return false;
        }
        number++;
        // A file of the kernel's own holds one record, which was shorter before Linux 6.1.
        boolean whole = bytes.length == RECORD_BYTES || (number == 1 && bytes.length >= PstoreSource.BYTES_MIN);
        if (!whole) {
            sink.malformed(number, "the record has " + bytes.length + " bytes < " + RECORD_BYTES);
            return false;
        }
        MachineCheck check = PstoreSource.record(bytes);
        if ((check.status() & VALID) == 0 && check.bank() < MachineCheck.THERMAL_BANK) {
            sink.malformed(number, "status 0x" + Long.toHexString(check.status()) + " is not valid: bit 63 is 0");
        } else if (check.vendor() > VENDOR_MAX && check.vendor() != VENDOR_UNKNOWN) {
            // Any file may begin with a byte that no text has; a drill must not take it for a machine's end.
            sink.malformed(number, "CPU vendor " + check.vendor() + " > " + VENDOR_MAX + ": no raw machine check");
        } else if (check.wallMs() < 0 || check.wallMs() > WALL_MS_MAX) {
            sink.malformed(
                    number,
                    "time " + check.wallMs() / 1000 + " s is not in 0.." + WALL_MS_MAX / 1000
                            + ": no raw machine check");
        } else {
            sink.event(MachineCheckDecoder.decode(check));
        }
        return true;
    }

    private boolean line() throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream(256);
        long length = 0;
        int b = in.read();
        if (b < 0) {
            return false;
        }
        while (b >= 0 && b != '\n') {
            if (++length <= LINE_BYTES_MAX) {
                bytes.write(b);
            }
            b = in.read();
        }
        number++;
        if (length > LINE_BYTES_MAX) {
            sink.malformed(number, "the line has " + length + " bytes > " + LINE_BYTES_MAX);
            return true;
        }
        String line = bytes.toString(StandardCharsets.UTF_8).stripTrailing();
        line = number == 1 ? line.replace("\uFEFF", "") : line;
        if (head == RecordingFormat.JSON) {
            json.line(line, number);
        } else {
            text.line(line, number);
        }
        return true;
    }

    @Override
    public void close() throws IOException {
        in.close();
    }
}
