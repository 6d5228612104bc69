package io.lockstep.telemetry.source;

import io.lockstep.telemetry.decode.MachineCheck;
import io.lockstep.telemetry.decode.MachineCheckDecoder;
import io.lockstep.telemetry.event.HardwareEvent;
import io.lockstep.telemetry.event.Raw;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.util.List;
import java.util.function.Consumer;

/**
 * Machine checks that ended an earlier life of this host, which the kernel kept through the firmware: {@code /sys/fs/pstore/mce-erst-*}, each a
 * {@code struct mce} ({@code arch/x86/kernel/cpu/mce/apei.c}, {@code arch/x86/include/uapi/asm/mce.h}). Each is told once; the files stay for whoever wants them.
 */
public final class PstoreSource implements EventSource {
    /** Up to and with {@code microcode}; older kernels' records end at {@code mcgcap}, newer ones go on. */
    public static final int BYTES_MIN = 88;

    /** Before a record's name, what marks that it was told. */
    public static final String MARK = "pstore ";

    private final Sysfs pstore;
    private final Counters kept;
    private volatile SourceState state;
    private long events;

    /**
     * Over a mounted pstore.
     *
     * @param pstore of {@code /sys/fs/pstore}
     * @param kept has which records were told, as {@link #MARK} and a record's name, with its time
     */
    public PstoreSource(Sysfs pstore, Counters kept) {
        this.pstore = pstore;
        this.kept = kept;
        state = SourceState.absent("not looked yet", "");
    }

    @Override
    public String name() {
        return "pstore";
    }

    @Override
    public int poll(Moment now, Consumer<HardwareEvent> sink) {
        if (!Files.isDirectory(pstore.root())) {
            state = SourceState.absent(pstore.root() + " is not there", "");
            return 0;
        }
        if (!mounted()) {
            state = SourceState.absent(
                    "pstore is not mounted at " + pstore.root(), "mount -t pstore pstore " + pstore.root());
            return 0;
        }
        long before = events;
        List<String> names = pstore.names("", "mce-erst-.*");
        for (String name : names) {
            try {
                byte[] bytes = Files.readAllBytes(pstore.root().resolve(name));
                MachineCheck check = bytes.length < BYTES_MIN ? null : record(bytes);
                if (check != null && newly(name, check.wallMs())) {
                    HardwareEvent event = MachineCheckDecoder.decode(check);
                    events++;
                    sink.accept(new HardwareEvent(
                            event.wallMs(),
                            event.kind(),
                            event.severity(),
                            event.component(),
                            event.address(),
                            event.count(),
                            name(),
                            event.what() + ", which ended an earlier life of this host",
                            new Raw.Marked(MARK + name, Long.toString(check.wallMs()), check.words())));
                }
            } catch (AccessDeniedException e) {
                state = SourceState.noPrivilege("cannot read " + e.getFile());
                return (int) (events - before);
            } catch (IOException e) {
                // The record was removed meanwhile, or its store fails: the next poll tries again.
                state = SourceState.present("cannot read " + name + ": " + e, events);
            }
        }
        if (events != before) {
            forgetBut(names);
        }
        state = SourceState.present(names.size() + " machine checks of earlier lives", events);
        return (int) (events - before);
    }

    /** The kernel makes the directory; who sees sysfs itself there sees no records. */
    private boolean mounted() {
        try {
            return !Files.getFileStore(pstore.root()).type().equals("sysfs");
        } catch (IOException e) {
            return false;
        }
    }

    /** A name may be used again when its record was removed. */
    private boolean newly(String name, long timeMs) {
        return !kept.mark(MARK + name).equals(Long.toString(timeMs));
    }

    private void forgetBut(List<String> names) {
        for (String mark : kept.marks().keySet()) {
            if (mark.startsWith(MARK) && !names.contains(mark.substring(MARK.length()))) {
                kept.mark(mark, "");
            }
        }
    }

    /** Reads the layout of Linux 6.1, whose fields keep their places in newer kernels. */
    public static MachineCheck record(byte[] bytes) {
        ByteBuffer in = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
        return new MachineCheck(
                in.getLong(48) * 1000,
                in.get(56) & 0xff,
                in.getInt(60),
                in.getInt(72),
                in.getInt(68),
                in.get(65) & 0xff,
                in.get(64) & 0xff,
                in.getLong(80),
                in.getLong(24),
                in.getLong(0),
                in.getLong(16),
                in.getLong(8),
                bytes.length >= 96 ? in.getLong(88) : 0,
                bytes.length >= 104 ? in.getLong(96) : 0,
                in.getLong(32),
                bytes.length >= 112 ? in.getLong(104) : 0);
    }

    @Override
    public SourceState state() {
        return state;
    }
}
