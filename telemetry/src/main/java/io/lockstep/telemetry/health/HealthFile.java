package io.lockstep.telemetry.health;

import io.lockstep.telemetry.event.Component;
import io.lockstep.telemetry.event.Tally;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.zip.CRC32C;

/**
 * Keeps a {@link HealthBook}, and how much of the kernel's counters it holds, across restarts of the agent.
 *
 * <pre>
 * 0   u32 magic "LSHB"      4   u32 version 1      8   u32 count      12  parts, counters      end  u32 CRC-32C of all before it
 *
 * part: component, u8 state, u64 since, u64 last, u64 corrected, u64 uncorrected, u64 corrected in the window,
 *       text action, u8 count, texts of evidence
 *
 * counters: text boot, u32 count, for each: text name, u64 value
 *           u32 count, for each tally: component, u8 1 if data was lost, u64 count
 *           for each tally: u8 count, for each counter that has shown some of it: text source, u64 count
 * </pre>
 *
 * <p>Big-endian; texts as {@link DataOutputStream#writeUTF}. Replaced as a whole: a reader finds the old or the new one. Files that older agents
 * wrote end without counters or without what they have shown, and older agents pass over them.
 */
public final class HealthFile {
    private static final int MAGIC = 0x4c534842;
    private static final int VERSION = 1;
    private static final int CRC_BYTES = 4;

    /** A text of 65,535 bytes is the most that the form holds; an evidence line is far shorter. */
    private static final int TEXT_CHARS_MAX = 4096;

    private HealthFile() {}

    /** Its content. */
    public static byte[] bytes(HealthBook book, KeptCounters counters, long nowMs) throws IOException {
        List<ComponentHealth> all = book.all();
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        DataOutputStream out = new DataOutputStream(bytes);
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
        write(counters, out);
        CRC32C crc = new CRC32C();
        crc.update(bytes.toByteArray());
        out.writeInt((int) crc.getValue());
        return bytes.toByteArray();
    }

    /** Replaces it. */
    public static void save(byte[] bytes, Path file) throws IOException {
        Path next = file.resolveSibling(file.getFileName() + ".new");
        Files.write(next, bytes);
        Files.move(next, file, StandardCopyOption.ATOMIC_MOVE);
    }

    private static void write(KeptCounters counters, DataOutputStream out) throws IOException {
        out.writeUTF(counters.boot());
        out.writeInt(counters.values().size());
        for (Map.Entry<String, Long> counter : counters.values().entrySet()) {
            out.writeUTF(counter.getKey());
            out.writeLong(counter.getValue());
        }
        out.writeInt(counters.told().size());
        for (Tally tally : counters.told()) {
            ComponentCodec.write(tally.component(), out);
            out.writeBoolean(tally.lost());
            out.writeLong(tally.count());
        }
        for (Tally tally : counters.told()) {
            out.writeByte(tally.shown().size());
            for (Map.Entry<String, Long> shown : tally.shown().entrySet()) {
                out.writeUTF(shown.getKey());
                out.writeLong(shown.getValue());
            }
        }
    }

    private static KeptCounters counters(DataInputStream in) throws IOException {
        if (in.available() <= CRC_BYTES) {
            return KeptCounters.NONE;
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
        if (in.available() > CRC_BYTES) {
            for (int i = 0; i < told.size(); i++) {
                Map<String, Long> shown = new HashMap<>();
                for (int left = in.readByte(); left > 0; left--) {
                    shown.put(in.readUTF(), in.readLong());
                }
                Tally tally = told.get(i);
                told.set(i, new Tally(tally.component(), tally.lost(), tally.count(), shown));
            }
        }
        return new KeptCounters(boot, values, told);
    }

    /**
     * Reads it into an empty book; a file that is not there leaves it empty.
     *
     * @return how much of the kernel's counters it holds; {@link KeptCounters#NONE} if the file does not say
     * @throws IOException if it is damaged or of a newer version: the message says which; the book is left as it was
     */
    public static KeptCounters load(HealthBook book, Path file, long nowMs) throws IOException {
        byte[] bytes;
        try {
            bytes = Files.readAllBytes(file);
        } catch (NoSuchFileException e) {
            return KeptCounters.NONE;
        }
        if (bytes.length < 16) {
            throw new IOException(file + " has " + bytes.length + " bytes < 16");
        }
        DataInputStream in = new DataInputStream(new ByteArrayInputStream(bytes));
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
        int count = in.readInt();
        for (int i = 0; i < count; i++) {
            Component component = ComponentCodec.read(in);
            HealthState state = HealthState.of(in.readByte());
            long sinceMs = in.readLong();
            long lastMs = in.readLong();
            long corrected = in.readLong();
            long uncorrected = in.readLong();
            long recent = in.readLong();
            String action = in.readUTF();
            List<String> evidence = new ArrayList<>();
            for (int left = in.readByte(); left > 0; left--) {
                evidence.add(in.readUTF());
            }
            book.restore(
                    new ComponentHealth(component, state, sinceMs, lastMs, corrected, uncorrected, evidence, action),
                    recent,
                    nowMs);
        }
        return counters(in);
    }

    private static void text(String text, DataOutputStream out) throws IOException {
        out.writeUTF(text.length() > TEXT_CHARS_MAX ? text.substring(0, TEXT_CHARS_MAX) : text);
    }
}
