package io.lockstep.telemetry.health;

import io.lockstep.telemetry.event.Component;
import io.lockstep.telemetry.event.OpenFault;
import io.lockstep.telemetry.event.Tally;
import java.io.BufferedOutputStream;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.zip.CRC32C;
import java.util.zip.CheckedOutputStream;

/**
 * Keeps a {@link HealthBook}, and what more may be told of what it holds, across restarts of the agent.
 *
 * <pre>
 * 0   u32 magic "LSHB"      4   u32 version 1      8   u32 count      12  parts, counters, open, rest, marks      end  u32 CRC-32C of all before it
 *
 * part: component, u8 state, u64 since, u64 last, u64 corrected, u64 uncorrected, u64 corrected in the window,
 *       text action, u8 count, texts of evidence
 *
 * counters: text boot, u32 count, for each: text name, u64 value
 *           u32 count, for each tally: component, u8 1 if data was lost, u64 count
 *           for each tally: u8 count, for each counter that has shown some of it: text source, u64 count
 *
 * open:     u32 count, for each fault: event that began it, event as it is known, u8 count, for each source: text name, u64 count
 *           u64 handed on, u8 1 if it was told: event, u64 corrected, u64 uncorrected, u8 1 if its place was told: component
 *           u8 1 if it is better known, u64 newest
 * event:    u64 time, text kind, u8 severity, component, u64 address, u64 count, text source, text phrase, text raw
 *
 * rest:     for each part: u32 grave, u32 wear, u8 noticed, u8 shared, window, fast window
 *           u32 count, for each page: u64 number, component, window
 *           u32 count, for each row: component, window, fast window, spread of columns; u32 count, for each bank: component, spread of rows
 * window:   u64 milliseconds a step, u64 last step, u8 count, for each step in use: u8 its place, u32 errors
 * spread:   u8 count, for each: u32 number, u64 errors, u64 last
 *
 * marks:    u32 count, for each: text name, text mark
 * </pre>
 *
 * <p>Big-endian; texts as {@link DataOutputStream#writeUTF}. Replaced as a whole: a reader finds the old or the new one. Files that older agents
 * wrote end after parts, after a part of the counters, after all of them or after the rest, and older agents pass over what follows.
 */
public final class HealthFile {
    private static final int MAGIC = 0x4c534842;
    private static final int VERSION = 1;
    private static final int CRC_BYTES = 4;

    /** A text of 65,535 bytes is the most that the form holds; an evidence line is far shorter. */
    private static final int TEXT_CHARS_MAX = 4096;

    private HealthFile() {}

    /** What it is to hold, as of one moment. Immutable. */
    public static final class Content {
        private final byte[] parts;
        private final Pending pending;
        private final byte[] rest;

        private Content(byte[] parts, Pending pending, byte[] rest) {
            this.parts = parts;
            this.pending = pending;
            this.rest = rest;
        }

        /** What more may be told. */
        public Pending pending() {
            return pending;
        }
    }

    /**
     * What it is to hold now. The accounts are put into their form here, because they change; what is pending does not, and what its sources saw
     * takes long to put into words: {@link #save} does it.
     */
    public static Content content(HealthBook book, Pending pending, long nowMs) throws IOException {
        List<ComponentHealth> all = book.all();
        ByteArrayOutputStream parts = new ByteArrayOutputStream();
        DataOutputStream out = new DataOutputStream(parts);
        out.writeInt(MAGIC);
        out.writeInt(VERSION);
        out.writeInt(all.size());
        for (ComponentHealth health : all) {
            ComponentCodec.write(health.component(), out);
            out.writeByte(health.state().code());
            out.writeLong(health.sinceMs());
            out.writeLong(health.lastMs());
            out.writeLong(health.corrected());
            out.writeLong(health.uncorrected());
            out.writeLong(book.recent(health.component(), nowMs));
            text(health.action(), out);
            out.writeByte(health.evidence().size());
            for (String evidence : health.evidence()) {
                text(evidence, out);
            }
        }
        ByteArrayOutputStream rest = new ByteArrayOutputStream();
        book.writeRest(all, new DataOutputStream(rest));
        return new Content(parts.toByteArray(), pending, rest.toByteArray());
    }

    /** Replaces it; on disk when it returns: a power cut is what it is for. */
    public static void save(Content content, Path file) throws IOException {
        Path next = file.resolveSibling(file.getFileName() + ".new");
        CRC32C crc = new CRC32C();
        try (FileChannel channel = FileChannel.open(
                        next,
                        StandardOpenOption.CREATE,
                        StandardOpenOption.TRUNCATE_EXISTING,
                        StandardOpenOption.WRITE);
                CheckedOutputStream checked = new CheckedOutputStream(Channels.newOutputStream(channel), crc);
                DataOutputStream out = new DataOutputStream(new BufferedOutputStream(checked))) {
            out.write(content.parts);
            write(content.pending, out);
            out.write(content.rest);
            out.writeInt(content.pending.marks().size());
            for (Map.Entry<String, String> mark : content.pending.marks().entrySet()) {
                text(mark.getKey(), out);
                text(mark.getValue(), out);
            }
            out.flush();
            out.writeInt((int) crc.getValue());
            out.flush();
            channel.force(true);
        }
        Files.move(next, file, StandardCopyOption.ATOMIC_MOVE);
    }

    private static void write(Pending pending, DataOutputStream out) throws IOException {
        out.writeUTF(pending.boot());
        out.writeInt(pending.values().size());
        for (Map.Entry<String, Long> counter : pending.values().entrySet()) {
            out.writeUTF(counter.getKey());
            out.writeLong(counter.getValue());
        }
        out.writeInt(pending.told().size());
        for (Tally tally : pending.told()) {
            ComponentCodec.write(tally.component(), out);
            out.writeBoolean(tally.lost());
            out.writeLong(tally.count());
        }
        for (Tally tally : pending.told()) {
            out.writeByte(tally.shown().size());
            for (Map.Entry<String, Long> shown : tally.shown().entrySet()) {
                out.writeUTF(shown.getKey());
                out.writeLong(shown.getValue());
            }
        }
        out.writeInt(pending.open().size());
        for (OpenFault fault : pending.open()) {
            EventCodec.write(fault, out);
        }
    }

    private static Pending pending(DataInputStream in) throws IOException {
        if (in.available() == 0) {
            return Pending.NONE;
        }
        String boot = in.readUTF();
        Map<String, Long> values = new HashMap<>();
        for (int left = in.readInt(); left > 0; left--) {
            values.put(in.readUTF(), in.readLong());
        }
        List<Tally> told = new ArrayList<>();
        for (int left = in.readInt(); left > 0; left--) {
            told.add(new Tally(ComponentCodec.read(in), in.readBoolean(), in.readLong(), Map.of()));
        }
        if (in.available() > 0) {
            for (int i = 0; i < told.size(); i++) {
                Map<String, Long> shown = new HashMap<>();
                for (int left = in.readByte(); left > 0; left--) {
                    shown.put(in.readUTF(), in.readLong());
                }
                Tally tally = told.get(i);
                told.set(i, new Tally(tally.component(), tally.lost(), tally.count(), shown));
            }
        }
        List<OpenFault> open = new ArrayList<>();
        if (in.available() > 0) {
            for (int left = in.readInt(); left > 0; left--) {
                open.add(EventCodec.read(in));
            }
        }
        return new Pending(boot, values, told, open, Map.of());
    }

    /**
     * Reads it into an empty book; a file that is not there leaves it empty.
     *
     * @return what more may be told of what it holds; {@link Pending#NONE} if the file does not say
     * @throws IOException if it is damaged, of a newer version or not understood: the message says which; the book is left as it was, because accounts
     *     without what is pending would count all of that again
     */
    public static Pending load(HealthBook book, Path file) throws IOException {
        byte[] bytes;
        try {
            bytes = Files.readAllBytes(file);
        } catch (NoSuchFileException e) {
            return Pending.NONE;
        }
        if (bytes.length < 16) {
            throw new IOException(file + " has " + bytes.length + " bytes < 16");
        }
        DataInputStream in = new DataInputStream(new ByteArrayInputStream(bytes, 0, bytes.length - CRC_BYTES));
        CRC32C crc = new CRC32C();
        crc.update(bytes, 0, bytes.length - CRC_BYTES);
        int stored =
                new DataInputStream(new ByteArrayInputStream(bytes, bytes.length - CRC_BYTES, CRC_BYTES)).readInt();
        int magic = in.readInt();
        int version = in.readInt();
        if (magic != MAGIC) {
            throw new IOException(
                    file + ": magic 0x" + Integer.toHexString(magic) + " != 0x" + Integer.toHexString(MAGIC));
        }
        if (version != VERSION) {
            throw new IOException(file + ": version " + version + " != " + VERSION + ": written by another lockstep");
        }
        if (stored != (int) crc.getValue()) {
            throw new IOException(file + ": CRC 0x" + Integer.toHexString((int) crc.getValue()) + " != stored 0x"
                    + Integer.toHexString(stored) + ": damaged");
        }
        try {
            return read(book, in);
        } catch (IOException | RuntimeException e) {
            throw new IOException(file + " is not understood: " + e, e);
        }
    }

    private static Pending read(HealthBook book, DataInputStream in) throws IOException {
        List<ComponentHealth> parts = new ArrayList<>();
        List<Long> recent = new ArrayList<>();
        for (int left = in.readInt(); left > 0; left--) {
            Component component = ComponentCodec.read(in);
            HealthState state = HealthState.of(in.readByte());
            long sinceMs = in.readLong();
            long lastMs = in.readLong();
            long corrected = in.readLong();
            long uncorrected = in.readLong();
            recent.add(in.readLong());
            String action = in.readUTF();
            List<String> evidence = new ArrayList<>();
            for (int lines = in.readByte(); lines > 0; lines--) {
                evidence.add(in.readUTF());
            }
            parts.add(new ComponentHealth(component, state, sinceMs, lastMs, corrected, uncorrected, evidence, action));
        }
        Pending pending = pending(in);
        Runnable restoring = book.restoring(parts, recent, in.available() > 0 ? in : null);
        Map<String, String> marks = new HashMap<>();
        if (in.available() > 0) {
            for (int left = in.readInt(); left > 0; left--) {
                marks.put(in.readUTF(), in.readUTF());
            }
        }
        restoring.run();
        return new Pending(pending.boot(), pending.values(), pending.told(), pending.open(), marks);
    }

    static void text(String text, DataOutputStream out) throws IOException {
        out.writeUTF(text.length() > TEXT_CHARS_MAX ? text.substring(0, TEXT_CHARS_MAX) : text);
    }
}
