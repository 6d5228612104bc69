package io.lockstep.telemetry.trace;

import io.lockstep.telemetry.event.HardwareEvent;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Objects;
import java.util.SplittableRandom;
import java.util.function.Consumer;

/** Pages of the kernel's ring full of corrected machine checks all over a module, one uncorrected among so many. */
public final class FloodPages {
    /** Bytes of a mce_record, in whole words. */
    private static final int RECORD_BYTES = 108;

    private static final int RECORDS = 4000 / (RECORD_BYTES + 4);
    private static final long CORRECTED = 0x8c00004000010090L;
    private static final long LOST = 0xac00000000010090L;

    private final TraceFormat format = Objects.requireNonNull(TraceFormat.parse(Formats.MCE_RECORD));
    private final ByteBuffer page = ByteBuffer.allocate(4096).order(ByteOrder.LITTLE_ENDIAN);
    private final SplittableRandom random = new SplittableRandom(7);
    private final int lostEvery;
    private long made;

    public FloodPages(int lostEvery) {
        this.lostEvery = lostEvery;
    }

    /** Hands on at most so many records of one page; how many. */
    public int next(long wallMs, int recordsMax, Consumer<HardwareEvent> sink) {
        int records = Math.min(RECORDS, recordsMax);
        page.putLong(0, 0).putLong(8, records * (RECORD_BYTES + 4L));
        for (int i = 0; i < records; i++) {
            int at = RingPage.DATA + i * (RECORD_BYTES + 4);
            made++;
            boolean lost = made % lostEvery == 0;
            page.putInt(at, RECORD_BYTES / 4);
            int record = at + 4;
            page.putShort(record, (short) 101);
            page.putLong(record + 8, 0x1000c0a).putLong(record + 24, lost ? LOST : CORRECTED);
            page.putLong(record + 32, lost ? 1L << 40 | made << 12 : (long) random.nextInt(1 << 24) << 12);
            page.putLong(record + 40, 0x8c).putInt(record + 88, 3).putInt(record + 92, 0x50654);
            page.put(record + 105, (byte) 13);
        }
        return RingPage.read(page, 4096, new RingPage.Handler() {
            @Override
            public void record(long timestampNs, int offset, int length) {
                sink.accept(Objects.requireNonNull(
                        TraceEvents.decode("mce/mce_record", new TraceRecord(format, page, offset, length), wallMs)));
            }

            @Override
            public void lost(long count) {
                throw new IllegalStateException("no page says so");
            }
        });
    }
}
