package io.lockstep.telemetry.bmc;

import io.lockstep.linux.Errno;
import io.lockstep.linux.LinuxException;
import io.lockstep.telemetry.event.HardwareEvent;
import io.lockstep.telemetry.event.Raw;
import io.lockstep.telemetry.source.Counters;
import io.lockstep.telemetry.source.EventSource;
import io.lockstep.telemetry.source.Moment;
import io.lockstep.telemetry.source.SourceState;
import io.lockstep.telemetry.source.SourceState.Status;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * The controller's system event log: IPMI 2.0, 31.2 (Get SEL Info) and 31.5 (Get SEL Entry). Each record is told once, also across restarts, and also
 * when the log was cleared or has overwritten its oldest records. The first time, what is older than a day is history.
 */
public final class SelSource implements EventSource {
    /** Of the source, and of its mark. */
    public static final String NAME = "ipmi-sel";

    private static final int STORAGE = 0x0a;
    private static final int GET_INFO = 0x40;
    private static final int GET_ENTRY = 0x43;
    private static final int FIRST = 0;
    private static final int LAST = 0xffff;

    /** Completion code: no such record. */
    private static final int NOT_PRESENT = 0xcb;

    private static final int INFO_BYTES = 15;

    /** Records in one turn: each takes some 10 ms by a slow interface, and others wait. */
    private static final int RECORDS_PER_TURN = 64;

    private static final long HISTORY_MS = 86_400_000;

    private final Bmc bmc;
    private final Counters kept;
    private volatile SourceState state = SourceState.absent("not looked yet", "");
    private int next = LAST;
    private boolean first;
    private long since = -1;
    private String unreadable = "";
    private long events;
    private long history;

    /**
     * Over a controller.
     *
     * @param kept remembers how far the log was told, as {@link #NAME}
     */
    public SelSource(Bmc bmc, Counters kept) {
        this.bmc = bmc;
        this.kept = kept;
    }

    @Override
    public String name() {
        return NAME;
    }

    @Override
    public int poll(Moment now, Consumer<HardwareEvent> sink) {
        long before = events;
        try {
            byte[] info = bmc.command(STORAGE, GET_INFO, new byte[0]);
            if (info.length < INFO_BYTES || info[0] != 0) {
                state = deaf("Get SEL Info answers 0x" + Integer.toHexString(info[0] & 0xff));
                return 0;
            }
            walk(info, now.wallMs(), sink);
            publish(info);
        } catch (LinuxException e) {
            state = failed(e);
        }
        return (int) (events - before);
    }

    private SourceState failed(LinuxException e) {
        return switch (e.errno()) {
            case Errno.ENOENT, Errno.ENXIO, Errno.ENODEV ->
                SourceState.absent(
                        "no management controller: " + e.getMessage(),
                        "If this host has one: modprobe ipmi_si ipmi_devintf.");
            case Errno.EACCES, Errno.EPERM -> SourceState.noPrivilege("cannot ask the controller: " + e.getMessage());
            default -> deaf(String.valueOf(e.getMessage()));
        };
    }

    private SourceState deaf(String why) {
        return new SourceState(
                Status.DEAF, "the management controller does not tell its log: " + why, "ipmitool sel info", events, 0);
    }

    private static long erased(byte[] info) {
        return ByteBuffer.wrap(info).order(ByteOrder.LITTLE_ENDIAN).getInt(10) & 0xffff_ffffL;
    }

    private static int entries(byte[] info) {
        return (info[2] & 0xff) | (info[3] & 0xff) << 8;
    }

    /** Begins behind the last record that was told, and goes on where the last turn stopped. */
    private void walk(byte[] info, long wallMs, Consumer<HardwareEvent> sink) throws LinuxException {
        SelPosition position = SelPosition.of(kept.mark(NAME));
        if (next == LAST) {
            begin(info, position);
        }
        SelRecord last = erased(info) == position.erased() ? position.last() : null;
        for (int records = 0; next != LAST && records < RECORDS_PER_TURN; records++) {
            byte[] answer = entry(next);
            if (answer == null) {
                // It was cleared under our hands: the next turn begins anew.
                next = LAST;
                return;
            }
            SelRecord record = record(answer);
            tell(record, new SelPosition(position.whole(), erased(info), record), wallMs, sink);
            last = record;
            int following = following(answer);
            next = following == next ? LAST : following;
        }
        unreadable = "";
        // Also what is no event was read.
        kept.mark(NAME, new SelPosition(position.whole() || next == LAST, erased(info), last).words());
        if (next == LAST) {
            first = false;
            since = -1;
        }
    }

    private void begin(byte[] info, SelPosition position) throws LinuxException {
        SelRecord last = position.last();
        first = !position.whole();
        since = -1;
        next = entries(info) == 0 ? LAST : FIRST;
        if (next == LAST || last == null || erased(info) != position.erased()) {
            return;
        }
        byte[] answer = entry(last.number());
        if (answer != null && record(answer).equals(last)) {
            next = following(answer);
        } else {
            // Overwritten, and all before it; or deleted alone, and then what is older was told.
            since = last.wallMs();
        }
    }

    private void tell(SelRecord record, SelPosition reached, long wallMs, Consumer<HardwareEvent> sink) {
        long ownMs = record.wallMs();
        boolean old = ownMs >= 0 && (first ? wallMs - ownMs > HISTORY_MS : ownMs < since);
        if (old) {
            history++;
            return;
        }
        HardwareEvent event = record.event(name(), wallMs);
        if (event != null) {
            events++;
            sink.accept(event.seenAs(
                    new Raw.Marked(NAME, reached.words(), event.raw().words())));
        }
    }

    /** Completion code, number of the next record, the record; null if it is not there. */
    private byte @Nullable [] entry(int number) throws LinuxException {
        byte[] request = {0, 0, (byte) number, (byte) (number >> 8), 0, (byte) 0xff};
        byte[] answer = bmc.command(STORAGE, GET_ENTRY, request);
        boolean there = answer.length >= 3 + SelRecord.BYTES && answer[0] == 0;
        if (!there && (answer[0] & 0xff) != NOT_PRESENT && answer[0] != 0) {
            unreadable = ", record " + number + " answers 0x" + Integer.toHexString(answer[0] & 0xff);
        }
        return there ? answer : null;
    }

    private static SelRecord record(byte[] answer) {
        return new SelRecord(Arrays.copyOfRange(answer, 3, 3 + SelRecord.BYTES));
    }

    private static int following(byte[] answer) {
        return (answer[1] & 0xff) | (answer[2] & 0xff) << 8;
    }

    private void publish(byte[] info) {
        boolean full = info[14] < 0;
        String detail =
                entries(info) + " records" + (history > 0 ? ", " + history + " of them of before" : "") + unreadable;
        state = full
                ? new SourceState(
                        Status.LOSING,
                        detail + "; the log is full, and the controller drops new ones",
                        "ipmitool sel clear",
                        events,
                        1)
                : SourceState.present(detail, events);
    }

    @Override
    public SourceState state() {
        return state;
    }

    @Override
    public void close() {
        bmc.close();
    }
}
