package io.lockstep.replication.journal;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.lockstep.replication.LockstepException;
import io.lockstep.replication.wire.EpochBeginDecoder;
import io.lockstep.replication.wire.EpochEndDecoder;
import io.lockstep.replication.wire.EpochKind;
import io.lockstep.replication.wire.PageBatchDecoder;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.SplittableRandom;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class EpochJournalTest {
    private static final JournalLimits SMALL = new JournalLimits(1 << 20, 4 << 20, 60_000);

    @TempDir
    Path directory;

    private final AtomicLong wallMs = new AtomicLong(1_000_000);
    private final Epochs epochs = new Epochs();
    private final SplittableRandom random = new SplittableRandom(7);

    private EpochJournal open() throws LockstepException {
        return EpochJournal.open(directory.resolve("journal"), SMALL, wallMs::get);
    }

    @Test
    void shouldReadWhatWasAppended() throws Exception {
        try (EpochJournal journal = open()) {
            byte[] pages = epochs.append(journal, 5, 70_000, random);
            journal.sync();
            assertThat(journal.newestEpoch()).isEqualTo(5);
            try (JournalReader reader = journal.reader()) {
                assertPages(journal, reader, 5, pages);
                assertThat(reader.next()).isFalse();
            }
            assertThat(journal.newestFirst(10)).singleElement().satisfies(entry -> {
                assertThat(entry.epoch()).isEqualTo(5);
                assertThat(entry.wallMs()).isEqualTo(2_005);
                assertThat(entry.pages()).isEqualTo(1);
                assertThat(entry.bytes()).isBetween(70_000L, 70_300L);
            });
        }
    }

    @Test
    void shouldListEpochsAgainWhenReopened() throws Exception {
        byte[][] pages = new byte[40][];
        try (EpochJournal journal = open()) {
            for (int i = 0; i < 20; i++) {
                pages[i] = epochs.append(journal, i, 100_000, random);
            }
        }
        try (EpochJournal journal = open()) {
            assertThat(journal.newestEpoch()).isEqualTo(19);
            assertThat(journal.epochCount()).isEqualTo(20);
            for (int i = 20; i < 40; i++) {
                pages[i] = epochs.append(journal, i, 100_000, random);
            }
            try (JournalReader reader = journal.reader()) {
                for (int i = 0; i < 40; i++) {
                    assertPages(journal, reader, i, pages[i]);
                }
            }
        }
    }

    @Test
    void shouldForgetAnEpochThatWasNotCommitted() throws Exception {
        try (EpochJournal journal = open()) {
            epochs.append(journal, 1, 1_000, random);
            epochs.begin(2, EpochKind.DELTA);
            journal.append(epochs.buffer(), 0, epochs.length());
            epochs.batch(2, 1, new byte[500], 500);
            journal.append(epochs.buffer(), 0, epochs.length());
            assertThat(journal.newestEpoch()).isEqualTo(1);
        }
        try (EpochJournal journal = open()) {
            assertThat(journal.newestEpoch()).isEqualTo(1);
            byte[] pages = epochs.append(journal, 2, 800, random);
            try (JournalReader reader = journal.reader()) {
                assertPages(journal, reader, 2, pages);
            }
        }
    }

    @Test
    void shouldTakeTheLastBeginWhenAnEpochStartsAgain() throws Exception {
        try (EpochJournal journal = open()) {
            epochs.append(journal, 1, 1_000, random);
            epochs.begin(2, EpochKind.DELTA);
            journal.append(epochs.buffer(), 0, epochs.length());
            epochs.batch(2, 1, new byte[500], 500);
            journal.append(epochs.buffer(), 0, epochs.length());
            byte[] pages = epochs.append(journal, 2, 900, random);
            try (JournalReader reader = journal.reader()) {
                assertPages(journal, reader, 2, pages);
            }
        }
    }

    @Test
    void shouldDeleteOldestSegmentsWhenTheJournalIsTooLarge() throws Exception {
        try (EpochJournal journal = open()) {
            for (int i = 0; i < 100; i++) {
                epochs.append(journal, i, 100_000, random);
            }
            assertThat(journal.bytes()).isGreaterThan(10_000_000);
            assertThat(journal.trim(journal.beginIndex(30))).isEqualTo(2);
            assertThat(journal.beginIndex(30)).isGreaterThan(0);
            assertThat(journal.trim(journal.beginIndex(99))).isGreaterThanOrEqualTo(4);
            assertThat(journal.bytes()).isLessThanOrEqualTo(4 << 20);
            assertThat(journal.newestEpoch()).isEqualTo(99);
            assertThat(segmentFiles()).isLessThanOrEqualTo(5);
            long oldest =
                    journal.newestFirst(1_000).get(journal.epochCount() - 1).epoch();
            try (JournalReader reader = journal.reader()) {
                reader.moveTo(journal.beginIndex(oldest));
                assertThat(reader.next()).isTrue();
                assertThat(reader.kind()).isEqualTo(EpochBeginDecoder.TEMPLATE_ID);
            }
        }
        try (EpochJournal journal = open()) {
            assertThat(journal.newestEpoch()).isEqualTo(99);
        }
    }

    @Test
    void shouldDeleteSegmentsWhenTheyAreTooOld() throws Exception {
        try (EpochJournal journal = open()) {
            for (int i = 0; i < 30; i++) {
                epochs.append(journal, i, 100_000, random);
            }
            assertThat(journal.trim(journal.beginIndex(29))).isZero();
            wallMs.addAndGet(60_001);
            epochs.append(journal, 30, 100_000, random);
            assertThat(journal.trim(journal.beginIndex(30))).isGreaterThanOrEqualTo(1);
            assertThat(journal.epoch(30)).isNotNull();
        }
    }

    @Test
    void shouldRefuseARecordWhenAByteOfItChanged() throws Exception {
        long begin;
        try (EpochJournal journal = open()) {
            epochs.append(journal, 1, 1_000, random);
            epochs.append(journal, 2, 50_000, random);
            begin = journal.beginIndex(2);
        }
        flipByteInTheMiddleOf(50_000);
        try (EpochJournal journal = open();
                JournalReader reader = journal.reader()) {
            reader.moveTo(begin);
            assertThat(reader.next()).isTrue();
            assertThatThrownBy(reader::next)
                    .isInstanceOfSatisfying(
                            LockstepException.class, e -> assertThat(e.code()).isEqualTo("journal-corrupt"))
                    .hasMessageMatching("Journal record [0-9a-f]+: checksum [0-9a-f]+ != [0-9a-f]+ stored\\. "
                            + "The epoch is not applied; the VM is copied again\\.");
        }
    }

    @Test
    void shouldRefuseAnEpochLargerThanTheJournal() throws Exception {
        try (EpochJournal journal = open()) {
            byte[] pages = new byte[1_000_000];
            epochs.begin(3, EpochKind.DELTA);
            journal.append(epochs.buffer(), 0, epochs.length());
            for (int i = 0; i < 4; i++) {
                epochs.batch(3, 1, pages, pages.length);
                journal.append(epochs.buffer(), 0, epochs.length());
            }
            epochs.batch(3, 1, pages, pages.length);
            assertThatThrownBy(() -> journal.append(epochs.buffer(), 0, epochs.length()))
                    .hasMessage(
                            "Epoch 3 of 5000225 bytes > journalBytesMax 4194304. Raise journalBytesMax on the peer.");
        }
    }

    @Test
    void shouldOpenWhenTheLastRecordWasTorn() throws Exception {
        Path copy = directory.resolve("journal");
        try (EpochJournal journal = EpochJournal.open(directory.resolve("live"), SMALL, wallMs::get)) {
            epochs.append(journal, 1, 1_000, random);
            journal.tearNextAppend();
            Files.createDirectories(copy);
            try (var files = Files.list(directory.resolve("live"))) {
                for (Path file : files.toList()) {
                    Files.copy(file, copy.resolve(file.getFileName()));
                }
            }
        }
        for (int i = 0; i < 3; i++) {
            try (EpochJournal journal = open()) {
                assertThat(journal.newestEpoch()).isEqualTo(1 + i);
                byte[] pages = epochs.append(journal, 2 + i, 5_000, random);
                try (JournalReader reader = journal.reader()) {
                    assertPages(journal, reader, 2 + i, pages);
                }
            }
        }
    }

    private void flipByteInTheMiddleOf(int recordBytes) throws Exception {
        Path file = SegmentClock.file(directory.resolve("journal"), 1);
        byte[] content = Files.readAllBytes(file);
        for (int i = content.length - 1; i > 0; i--) {
            if (content[i] != 0) { // end of the second epoch's EpochEnd and the file's end mark
                try (RandomAccessFile writer = new RandomAccessFile(file.toFile(), "rw")) {
                    int at = i - recordBytes / 2;
                    writer.seek(at);
                    writer.write(content[at] ^ 1);
                }
                return;
            }
        }
    }

    private long segmentFiles() throws Exception {
        try (var files = Files.list(directory.resolve("journal"))) {
            return files.filter(file -> file.toString().endsWith(".cq4")).count();
        }
    }

    private static void assertPages(EpochJournal journal, JournalReader reader, long epoch, byte[] pages)
            throws Exception {
        reader.moveTo(journal.beginIndex(epoch));
        assertThat(reader.next()).isTrue();
        assertThat(reader.kind()).isEqualTo(EpochBeginDecoder.TEMPLATE_ID);
        do {
            assertThat(reader.next()).isTrue();
        } while (reader.kind() == 0);
        assertThat(reader.kind()).isEqualTo(PageBatchDecoder.TEMPLATE_ID);
        byte[] read = new byte[pages.length];
        reader.buffer().getBytes(reader.offset() + reader.length() - pages.length, read);
        assertThat(read).isEqualTo(pages);
        do {
            assertThat(reader.next()).isTrue();
        } while (reader.kind() == 0);
        assertThat(reader.kind()).isEqualTo(EpochEndDecoder.TEMPLATE_ID);
        assertThat(reader.index()).isEqualTo(journal.endIndex(epoch));
    }
}
