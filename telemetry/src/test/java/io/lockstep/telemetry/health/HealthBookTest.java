package io.lockstep.telemetry.health;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.tuple;

import io.lockstep.telemetry.event.Component;
import io.lockstep.telemetry.event.Earlier;
import io.lockstep.telemetry.event.EventKind;
import io.lockstep.telemetry.event.HardwareEvent;
import io.lockstep.telemetry.event.OpenFault;
import io.lockstep.telemetry.event.Raw;
import io.lockstep.telemetry.event.Severity;
import io.lockstep.telemetry.event.Tally;
import io.lockstep.telemetry.fault.FaultMerger;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.zip.CRC32C;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class HealthBookTest {
    private static final long START = Trouble.START;
    private static final long MINUTE = 60_000;
    private static final long HOUR = 3_600_000;
    private static final Component.Memory A2 =
            Component.Memory.ANYWHERE.labelled("A2").at(0, 0, 1, 0);

    private final List<String> changes = new ArrayList<>();
    private final HealthBook book = new HealthBook(
            HealthRules.DEFAULT,
            (health, before) -> changes.add(health.component().words() + " " + before.words() + " -> "
                    + health.state().words()));

    private void corrected(Component place, long address, long count, long nowMs) {
        book.record(
                Trouble.event(EventKind.MEMORY_ERROR, Severity.CORRECTED, place, address, count), false, null, nowMs);
    }

    private ComponentHealth only() {
        return Trouble.onlyMemory(book);
    }

    @Test
    void shouldWatchAfterOneCorrectedErrorAndForgetItAfterADay() {
        corrected(A2, 0x1000, 1, START);
        assertThat(only().state()).isEqualTo(HealthState.WATCH);
        book.tick(START + 23 * HOUR);
        assertThat(book.host()).isEqualTo(HealthState.WATCH);
        book.tick(START + 24 * HOUR);
        assertThat(book.host()).isEqualTo(HealthState.HEALTHY);
        assertThat(changes)
                .containsExactly(
                        "DIMM CPU0 controller 0 channel 1 slot 0 (A2) healthy -> watch",
                        "DIMM CPU0 controller 0 channel 1 slot 0 (A2) watch -> healthy");
    }

    @Test
    void shouldDegradeAModuleAtItsLimitInAWindowThatSlides() {
        for (int i = 0; i < 9; i++) {
            corrected(A2, -1, 1, START + i * HOUR);
        }
        assertThat(only().state()).isEqualTo(HealthState.WATCH);
        // The first nine have left the window by then.
        for (int i = 0; i < 9; i++) {
            corrected(A2, -1, 1, START + (34 + i) * HOUR);
        }
        assertThat(only().state()).isEqualTo(HealthState.WATCH);
        corrected(A2, -1, 1, START + 43 * HOUR);
        assertThat(only().state()).isEqualTo(HealthState.DEGRADING);
        assertThat(only().evidence()).last().isEqualTo("10 corrected errors in 24 hours");
        assertThat(only().action())
                .isEqualTo(
                        "Move the VMs away soon; replace DIMM CPU0 controller 0 channel 1 slot 0 (A2) at the next chance.");
        assertThat(only().corrected()).isEqualTo(19);
    }

    @Test
    void shouldDegradeWhenARowOrABankShowsAPatternWithinMinutes() {
        corrected(A2.place(0, 3, 0x1a2, 0x10), -1, 1, START);
        corrected(A2.place(0, 3, 0x1a2, 0x18), -1, 1, START + MINUTE);
        assertThat(only().state()).isEqualTo(HealthState.DEGRADING);
        assertThat(only().evidence()).last().isEqualTo("errors in 2 columns of row 0x1a2 of bank 3 in 10 minutes");
        Component.Memory other = A2.labelled("A3").at(0, 0, 1, 1);
        corrected(other.place(0, 3, 1, 0x10), -1, 1, START);
        corrected(other.place(0, 3, 2, 0x10), -1, 1, START + 11 * MINUTE);
        assertThat(changes).hasSize(3);
        corrected(other.place(0, 3, 3, 0x10), -1, 1, START + 12 * MINUTE);
        assertThat(changes).last().isEqualTo("DIMM CPU0 controller 0 channel 1 slot 1 (A3) watch -> degrading");
        Component.Memory third = A2.labelled("A4").at(0, 0, 1, 2).place(0, 3, 1, 0x10);
        corrected(third, -1, 8, START);
        assertThat(changes).last().isEqualTo("DIMM CPU0 controller 0 channel 1 slot 2 (A4) healthy -> degrading");
    }

    @Test
    void shouldRecommendToTakeAPageOutOfUse() {
        corrected(A2, 0x5000123, 1, START);
        assertThat(only().action()).isEmpty();
        corrected(A2, 0x5000fff, 1, START + HOUR);
        assertThat(only().action()).isEqualTo("Take the page at 0x5000fff out of use.");
    }

    @Test
    void shouldCountASocketsModulesTogether() {
        for (int i = 0; i < 100; i++) {
            corrected(Component.Memory.ANYWHERE.labelled("M" + i).at(1, 0, 0, i), -1, 1, START + i);
        }
        assertThat(changes).contains("memory of CPU1 healthy -> degrading");
    }

    @Test
    void shouldForgetWhatAModuleDidToItsProcessorsMemoryWhenItIsCleared() {
        corrected(A2, -1, 60, START);
        corrected(A2.labelled("A3").at(0, 0, 1, 1), -1, 60, START);
        assertThat(changes).contains("memory of CPU0 healthy -> degrading");
        book.clear(component -> component.equals(A2), START + MINUTE);
        assertThat(changes).last().isEqualTo("memory of CPU0 degrading -> watch");
        book.clear(component -> component instanceof Component.Memory, START + MINUTE);
        assertThat(changes).last().isEqualTo("memory of CPU0 watch -> healthy");
        assertThat(book.all()).isEmpty();
    }

    @Test
    void shouldNotFareWorseForWhatAGuestDoesToItself() {
        book.record(
                Trouble.event(EventKind.GUEST_PANIC, Severity.RECOVERABLE, new Component.Guest("vm1"), -1, 1),
                false,
                null,
                START);
        assertThat(book.all()).singleElement().satisfies(health -> assertThat(health.state())
                .isGreaterThan(HealthState.HEALTHY));
        assertThat(book.host()).isEqualTo(HealthState.HEALTHY);
    }

    @Test
    void shouldFailAtTheFirstSignThatDataWasLostAndStaySoUntilCleared() {
        book.record(Trouble.event(EventKind.MIRROR_FAILOVER, Severity.CORRECTED, A2, -1, 1), false, null, START);
        assertThat(book.host()).isEqualTo(HealthState.FAILING);
        book.record(
                Trouble.event(EventKind.CACHE, Severity.ACTION_REQUIRED, new Component.Cpu(0, 1, 2), -1, 1),
                false,
                null,
                START);
        assertThat(book.host()).isEqualTo(HealthState.FAILED);
        book.tick(START + 1000 * HOUR);
        assertThat(book.all())
                .extracting(ComponentHealth::state)
                .containsExactly(HealthState.FAILED, HealthState.FAILING);
        assertThat(book.clear(component -> component.equals(A2), START)).isEqualTo(1);
        assertThat(book.clear(component -> true, START)).isEqualTo(1);
        assertThat(book.host()).isEqualTo(HealthState.HEALTHY);
    }

    @Test
    void shouldNotCountAgainWhatWasOnlyRefined() {
        HardwareEvent lost = Trouble.event(EventKind.MEMORY_ERROR, Severity.NO_ACTION, A2, -1, 1);
        book.record(lost, false, null, START);
        book.record(lost, true, null, START + 1);
        assertThat(only().uncorrected()).isEqualTo(1);
    }

    private static HardwareEvent lost(Component place, long address) {
        return Trouble.event(EventKind.MEMORY_ERROR, Severity.RECOVERABLE, place, address, 1);
    }

    @Test
    void shouldMoveAFaultToThePartThatItHappenedToAndForgetTheOther() {
        Component page = new Component.PhysicalAddress(0x5000, 4096);
        HardwareEvent vague = lost(page, 0x5000);
        book.record(vague, false, null, START);
        book.record(lost(A2, 0x5000), true, Earlier.of(vague), START + 1);
        assertThat(book.all()).singleElement().satisfies(part -> {
            assertThat(part.component()).isEqualTo(A2);
            assertThat(part.state()).isEqualTo(HealthState.FAILING);
            assertThat(part.uncorrected()).isEqualTo(1);
            assertThat(part.evidence()).containsExactly(lost(A2, 0x5000).line());
        });
        assertThat(changes)
                .as("the host is never told to be healthy between the two")
                .containsExactly(
                        "memory at physical address 0x5000 (4096 bytes) healthy -> failing",
                        "DIMM CPU0 controller 0 channel 1 slot 0 (A2) healthy -> failing",
                        "memory at physical address 0x5000 (4096 bytes) failing -> healthy");
    }

    @Test
    void shouldLeaveToAVaguePartWhatElseHappenedThere() {
        Component.Memory anywhere = Component.Memory.ANYWHERE;
        corrected(anywhere, 0x9000, 3, START);
        book.record(lost(anywhere, 0x5000), false, null, START);
        book.record(lost(anywhere, 0x6000), false, null, START);
        book.record(lost(A2, 0x5000), true, Earlier.of(lost(anywhere, 0x5000)), START + 1);
        assertThat(book.all())
                .extracting(ComponentHealth::component, ComponentHealth::state, ComponentHealth::uncorrected)
                .containsExactlyInAnyOrder(
                        tuple(A2, HealthState.FAILING, 1L), tuple(anywhere, HealthState.FAILING, 1L));
        book.record(lost(A2, 0x6000), true, Earlier.of(lost(anywhere, 0x6000)), START + 2);
        assertThat(book.all())
                .extracting(ComponentHealth::component, ComponentHealth::state, ComponentHealth::corrected)
                .containsExactly(tuple(A2, HealthState.FAILING, 0L), tuple(anywhere, HealthState.WATCH, 3L));
        assertThat(book.all().get(1).evidence()).last().isEqualTo("it happened to " + A2.words());
    }

    @Test
    void shouldCountCorrectedErrorsInTheWindowOfThePartThatTheyHappenedTo() {
        Component.Memory anywhere = Component.Memory.ANYWHERE;
        corrected(A2, -1, 6, START);
        HardwareEvent vague = Trouble.event(EventKind.MEMORY_ERROR, Severity.CORRECTED, anywhere, -1, 4);
        book.record(vague, false, null, START);
        book.record(vague.on(A2).times(1), true, Earlier.of(vague), START + 1);
        assertThat(only().corrected()).isEqualTo(10);
        assertThat(only().state()).isEqualTo(HealthState.DEGRADING);
        assertThat(book.all())
                .extracting(ComponentHealth::component)
                .containsExactly(A2, new Component.Host("memory of CPU0"));
        assertThat(book.all().get(1).corrected()).isEqualTo(10);
    }

    @Test
    void shouldLeaveAProcessorsMemoryAsItIsWhenAnErrorThatDidNotDegradeItHappenedToAnothers() {
        Component.Memory near = Component.Memory.ANYWHERE.at(0, 0, -1, -1);
        HardwareEvent vague = Trouble.event(EventKind.MEMORY_ERROR, Severity.CORRECTED, near, 0x5000, 1);
        corrected(near, 0x9000, 2, START);
        book.record(vague, false, null, START);
        book.record(vague.on(A2.at(1, 0, 1, 0)), true, Earlier.of(vague), START + 1);
        assertThat(book.all())
                .filteredOn(part -> part.component() instanceof Component.Host)
                .extracting(ComponentHealth::component, ComponentHealth::state, ComponentHealth::corrected)
                .containsExactly(
                        tuple(new Component.Host("memory of CPU0"), HealthState.HEALTHY, 2L),
                        tuple(new Component.Host("memory of CPU1"), HealthState.HEALTHY, 1L));
        assertThat(changes).noneMatch(change -> change.startsWith("memory of CPU0 healthy"));
    }

    @Test
    void shouldEaseAProcessorsMemoryWhenTheErrorThatDegradedItHappenedToAnothers() {
        Component.Memory near = Component.Memory.ANYWHERE.at(0, 0, -1, -1);
        HardwareEvent vague = Trouble.event(EventKind.MEMORY_ERROR, Severity.CORRECTED, near, 0x5000, 1);
        corrected(near, 0x9000, 99, START);
        book.record(vague, false, null, START);
        assertThat(changes).contains("memory of CPU0 healthy -> degrading");
        book.record(vague.on(A2.at(1, 0, 1, 0)), true, Earlier.of(vague), START + 1);
        assertThat(changes).contains("memory of CPU0 degrading -> watch");
    }

    @Test
    void shouldKeepAMoveOverARestartAndAPartFailingThatWasSoBefore(@TempDir Path directory) throws IOException {
        Path file = directory.resolve("health");
        Component.Memory anywhere = Component.Memory.ANYWHERE;
        book.record(lost(anywhere, 0x5000), false, null, START);
        HealthFile.save(HealthFile.content(book, Pending.NONE, START), file);
        HealthBook next = new HealthBook(HealthRules.DEFAULT, (health, before) -> {});
        HealthFile.load(next, file);
        next.record(lost(anywhere, 0x6000), false, null, START);
        next.record(lost(A2, 0x6000), true, Earlier.of(lost(anywhere, 0x6000)), START + 1);
        HealthFile.save(HealthFile.content(next, Pending.NONE, START + 1), file);
        HealthBook last = new HealthBook(HealthRules.DEFAULT, (health, before) -> {});
        HealthFile.load(last, file);
        assertThat(last.all())
                .extracting(ComponentHealth::component, ComponentHealth::state, ComponentHealth::uncorrected)
                .containsExactlyInAnyOrder(
                        tuple(A2, HealthState.FAILING, 1L), tuple(anywhere, HealthState.FAILING, 1L));
    }

    @Test
    void shouldRecoverWhenRedundancyIsWholeAgain() {
        Component bond = new Component.Nic("bond0");
        book.record(Trouble.event(EventKind.REDUNDANCY_LOST, Severity.INFORMATIONAL, bond, -1, 1), false, null, START);
        assertThat(book.host()).isEqualTo(HealthState.FAILING);
        book.record(
                Trouble.event(EventKind.REDUNDANCY_RESTORED, Severity.INFORMATIONAL, bond, -1, 1),
                false,
                null,
                START + 1);
        assertThat(book.host()).isEqualTo(HealthState.HEALTHY);
    }

    @Test
    void shouldOutliveARestart(@TempDir Path directory) throws IOException {
        Path file = directory.resolve("health");
        HealthFile.load(book, file);
        corrected(A2, -1, 9, START);
        List<Component> others = List.of(
                new Component.Cpu(0, 1, 2),
                new Component.Pcie(0, 0x3b, 0, 1),
                new Component.PhysicalAddress(4096, 4096),
                new Component.Nic("bond0"),
                new Component.Sensor("k10temp", "Tctl"),
                new Component.Host("power supplies"),
                new Component.Guest("web1"));
        others.forEach(o -> book.record(Trouble.event(EventKind.POISON, Severity.FATAL, o, -1, 1), false, null, START));
        HealthFile.save(HealthFile.content(book, Pending.NONE, START), file);
        HealthBook next = new HealthBook(HealthRules.DEFAULT, (health, before) -> {});
        HealthFile.load(next, file);
        assertThat(next.all()).isEqualTo(book.all());
        next.record(Trouble.event(EventKind.MEMORY_ERROR, Severity.CORRECTED, A2, -1, 1), false, null, START + HOUR);
        assertThat(next.all()).extracting(ComponentHealth::state).contains(HealthState.DEGRADING);
    }

    @Test
    void shouldKeepWhatMoreMayBeToldOfWhatItHolds(@TempDir Path directory) throws IOException {
        Path file = directory.resolve("health");
        HardwareEvent lost = lost(new Component.PhysicalAddress(0x5000, 4096), 0x5000);
        Pending counters = new Pending(
                "one",
                Map.of("mc0/dimm0", 7L, "mc0/dimm1", 0L),
                List.of(new Tally(A2, true, 3, Map.of("edac-counters", 2L))),
                List.of(
                        new OpenFault(lost, lost.on(A2), Map.of("mce", 2L), 2, Earlier.of(lost), A2, true, START),
                        new OpenFault(lost, lost, Map.of("mce", 1L, "edac", 2L), 0, null, null, false, START)),
                Map.of("log", "read so far"));
        corrected(A2, -1, 1, START);
        HealthFile.save(HealthFile.content(book, counters, START), file);
        HealthBook next = new HealthBook(HealthRules.DEFAULT, (health, before) -> {});
        assertThat(HealthFile.load(next, file)).isEqualTo(counters);
        assertThat(next.all()).isEqualTo(book.all());
    }

    /** In a storm it takes long, and whoever asks for the content holds up all events. */
    @Test
    void shouldPutIntoWordsWhatIsOpenWhenItIsSavedAndNotBefore(@TempDir Path directory) throws IOException {
        Path file = directory.resolve("health");
        AtomicInteger worded = new AtomicInteger();
        HardwareEvent lost = lost(A2, 0x5000).seenAs(() -> "worded " + worded.incrementAndGet());
        OpenFault fault = new OpenFault(lost, lost, Map.of("mce", 1L), 1, null, null, false, START);
        Pending pending = new Pending("one", Map.of(), List.of(), List.of(fault), Map.of());
        HealthFile.Content content = HealthFile.content(book, pending, START);
        assertThat(worded).hasValue(0);
        HealthFile.save(content, file);
        assertThat(HealthFile.load(book, file).open())
                .extracting(kept -> kept.best().raw().words())
                .containsExactly("worded 2");
    }

    /**
     * Before marks were kept (their count), before open faults were (their count, what the module and its socket rest on, three counts of patterns), and before counters were (two
     * more counts and an empty text).
     */
    @ParameterizedTest
    @ValueSource(ints = {4, 4 + 4 + 54 + 49 + 12, 4 + 4 + 54 + 49 + 12 + 10})
    void shouldReadAFileOfAnOlderAgent(int less, @TempDir Path directory) throws IOException {
        Path file = directory.resolve("health");
        corrected(A2, -1, 1, START);
        HealthFile.save(HealthFile.content(book, Pending.NONE, START), file);
        byte[] bytes = Files.readAllBytes(file);
        ByteBuffer older = ByteBuffer.allocate(bytes.length - less).put(bytes, 0, bytes.length - less - 4);
        CRC32C crc = new CRC32C();
        crc.update(older.array(), 0, older.position());
        Files.write(file, older.putInt((int) crc.getValue()).array());
        HealthBook next = new HealthBook(HealthRules.DEFAULT, (health, before) -> {});
        assertThat(HealthFile.load(next, file)).isEqualTo(Pending.NONE);
        assertThat(next.all()).isEqualTo(book.all());
    }

    @Test
    void shouldTakeNoStormForWhatCameWhileNoAgentLooked() {
        Raw away = new Raw.Counter("mc0/dimm0", 5000, true, "");
        HardwareEvent event = new HardwareEvent(
                START, EventKind.MEMORY_ERROR, Severity.CORRECTED, A2, -1, 5000, "edac-counters", "trouble", away);
        book.record(event, false, null, START);
        assertThat(only().corrected()).isEqualTo(5000);
        assertThat(only().evidence()).anyMatch(reason -> reason.equals("5000 corrected errors in 24 hours"));
        assertThat(only().evidence()).noneMatch(reason -> reason.contains("storm"));
    }

    @Test
    void shouldRefuseAFileThatIsDamagedOrNotItsOwn(@TempDir Path directory) throws IOException {
        Path file = directory.resolve("health");
        corrected(A2, -1, 1, START);
        HealthFile.save(HealthFile.content(book, Pending.NONE, START), file);
        byte[] bytes = Files.readAllBytes(file);
        bytes[40] ^= 1;
        Files.write(file, bytes);
        HealthBook next = new HealthBook(HealthRules.DEFAULT, (health, before) -> {});
        assertThatThrownBy(() -> HealthFile.load(next, file))
                .hasMessageMatching(".*health: CRC 0x.* != stored 0x.*: damaged");
        bytes[7] = 2;
        Files.write(file, bytes);
        assertThatThrownBy(() -> HealthFile.load(next, file))
                .hasMessage(file + ": version 2 != 1: written by another lockstep");
        bytes[0] = 0;
        Files.write(file, bytes);
        assertThatThrownBy(() -> HealthFile.load(next, file)).hasMessage(file + ": magic 0x534842 != 0x4c534842");
        Files.write(file, new byte[3]);
        assertThatThrownBy(() -> HealthFile.load(next, file)).hasMessage(file + " has 3 bytes < 16");
        assertThat(next.all()).isEmpty();
    }

    /** What follows the accounts says how far the logs were read: without it, all in them would be counted once more. */
    @Test
    void shouldTakeUpNothingWhenTheEndOfAFileIsNotUnderstood(@TempDir Path directory) throws IOException {
        Path file = directory.resolve("health");
        HardwareEvent lost = lost(A2, 0x5000);
        OpenFault fault = new OpenFault(lost, lost, Map.of("mce", 1L), 1, Earlier.of(lost), A2, false, START);
        corrected(A2.place(0, 3, 0x1a2, 0x10), 0x5000, 1, START);
        HealthFile.save(
                HealthFile.content(book, new Pending("one", Map.of(), List.of(), List.of(fault), Map.of()), START),
                file);
        byte[] whole = Files.readAllBytes(file);
        HealthBook next = new HealthBook(HealthRules.DEFAULT, (health, before) -> {});
        Files.write(file, signed(Arrays.copyOf(whole, whole.length - 7)));
        assertThatThrownBy(() -> HealthFile.load(next, file))
                .isInstanceOf(IOException.class)
                .hasMessage(file + " is not understood: java.io.EOFException");
        assertThat(next.all()).isEmpty();
        byte[] one = ByteBuffer.allocate(16).putLong(0x5000).putLong(1).array();
        int at = 0;
        while (!Arrays.equals(whole, at, at + one.length, one, 0, one.length)) {
            at++;
        }
        whole[at + one.length - 1] = 0;
        Files.write(file, signed(whole));
        assertThatThrownBy(() -> HealthFile.load(next, file))
                .isInstanceOf(IOException.class)
                .hasMessage(file + " is not understood: java.lang.IllegalArgumentException: count 0 < 1");
        assertThat(next.all()).isEmpty();
    }

    private static byte[] signed(byte[] bytes) {
        CRC32C crc = new CRC32C();
        crc.update(bytes, 0, bytes.length - 4);
        return ByteBuffer.wrap(bytes)
                .putInt(bytes.length - 4, (int) crc.getValue())
                .array();
    }

    /** Two million corrected errors of a minute all over memory, and a hundred uncorrected ones among them. */
    @Test
    void shouldStayBoundedInAStormAndMissNoUncorrectedError() {
        SplittableRandom random = new SplittableRandom(1);
        long[] counted = new long[2];
        FaultMerger merger = new FaultMerger(part -> part, (event, refined, earlier) -> {
            counted[event.immediate() ? 1 : 0] += refined ? 0 : event.count();
            book.record(event, refined, earlier, START);
        });
        // The last errors have left caches; the collector is asked twice for a steady figure.
        long before = usedBytes();
        for (int i = 0; i < 2_000_000; i++) {
            Component.Memory place =
                    A2.place(random.nextInt(4), random.nextInt(16), random.nextInt(1 << 17), random.nextInt(1024));
            merger.offer(
                    Trouble.event(
                            EventKind.MEMORY_ERROR, Severity.CORRECTED, place, (long) random.nextInt(1 << 24) << 12, 1),
                    i * MINUTE / 2_000_000);
            if (i % 20_000 == 7) {
                merger.offer(
                        Trouble.event(EventKind.MEMORY_ERROR, Severity.NO_ACTION, A2, 1L << 40 | (long) i << 12, 1),
                        i * MINUTE / 2_000_000);
            }
            if (i % 3000 == 0) {
                merger.drain(i * MINUTE / 2_000_000);
            }
        }
        merger.end(MINUTE);
        assertThat(usedBytes() - before).isLessThan(32L << 20);
        assertThat(counted).containsExactly(2_000_000, 100);
        assertThat(only().corrected()).isEqualTo(2_000_000);
        assertThat(only().uncorrected()).isEqualTo(100);
        assertThat(only().evidence()).hasSizeLessThanOrEqualTo(Account.EVIDENCE_MAX);
        assertThat(merger).isNotNull();
    }

    private static long usedBytes() {
        System.gc();
        System.gc();
        return Runtime.getRuntime().totalMemory() - Runtime.getRuntime().freeMemory();
    }
}
