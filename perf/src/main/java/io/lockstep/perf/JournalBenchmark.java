package io.lockstep.perf;

import io.lockstep.replication.LockstepException;
import io.lockstep.replication.journal.EpochJournal;
import io.lockstep.replication.journal.JournalLimits;
import io.lockstep.replication.wire.EpochBeginEncoder;
import io.lockstep.replication.wire.EpochKind;
import io.lockstep.replication.wire.MessageHeaderEncoder;
import io.lockstep.replication.wire.PageBatchEncoder;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.Objects;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.agrona.BufferUtil;
import org.agrona.concurrent.UnsafeBuffer;
import org.jspecify.annotations.Nullable;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;

/** A batch of 64 KiB into the journal on this machine's temporary directory; and the codec that writes its header. */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
public class JournalBenchmark {
    private static final int BATCH_BYTES = 65_536;
    private static final int TRIM_EVERY = 256;

    private final UnsafeBuffer message = new UnsafeBuffer(BufferUtil.allocateDirectAligned(BATCH_BYTES + 256, 64));
    private final MessageHeaderEncoder header = new MessageHeaderEncoder();
    private final EpochBeginEncoder begin = new EpochBeginEncoder();
    private final PageBatchEncoder batch = new PageBatchEncoder();
    private final UnsafeBuffer pages = new UnsafeBuffer(BufferUtil.allocateDirectAligned(BATCH_BYTES, 64));
    private Path directory = Path.of("");
    private @Nullable EpochJournal journal;
    private long epoch;
    private int length;
    private int appended;

    /** Opens a journal of its own. */
    @Setup
    public void setup() throws IOException, LockstepException {
        directory = Files.createTempDirectory("lockstep-journal");
        journal = EpochJournal.open(directory.resolve("journal"), JournalLimits.defaults(), System::currentTimeMillis);
        epoch = 0;
        beginEpoch();
    }

    private void beginEpoch() throws LockstepException {
        epoch++;
        begin.wrapAndApplyHeader(message, 0, header).epoch(epoch).kind(EpochKind.DELTA);
        opened().append(message, 0, MessageHeaderEncoder.ENCODED_LENGTH + begin.encodedLength());
        length = encode();
        appended = 0;
    }

    private EpochJournal opened() {
        return Objects.requireNonNull(journal, "setup opens it");
    }

    private int encode() {
        batch.wrapAndApplyHeader(message, 0, header).epoch(epoch).pageCount(16);
        batch.putPages(pages, 0, BATCH_BYTES);
        return MessageHeaderEncoder.ENCODED_LENGTH + batch.encodedLength();
    }

    /** Append, not synced. */
    @Benchmark
    public long append() throws LockstepException {
        if (++appended == TRIM_EVERY) {
            opened().trim(epoch);
            beginEpoch();
        }
        return opened().append(message, 0, length);
    }

    /** The message around the pages, the copy of their bytes included. */
    @Benchmark
    public int codec() {
        return encode();
    }

    /** Removes it. */
    @TearDown
    public void close() throws IOException {
        opened().close();
        try (Stream<Path> files = Files.walk(directory)) {
            for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
                Files.delete(file);
            }
        }
    }
}
