package io.lockstep.telemetry.health;

import static org.assertj.core.api.Assertions.assertThat;

import io.lockstep.telemetry.event.Component;
import io.lockstep.telemetry.event.Earlier;
import io.lockstep.telemetry.event.EventKind;
import io.lockstep.telemetry.event.HardwareEvent;
import io.lockstep.telemetry.event.Severity;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Patterns in pages, rows and banks that follow a fault from one part to another, and from one life of the agent to the next. */
class PatternsTest {
    private static final long START = Trouble.START;
    private static final long MINUTE = 60_000;
    private static final long HOUR = 3_600_000;
    private static final Component.Memory A2 =
            Component.Memory.ANYWHERE.labelled("A2").at(0, 0, 1, 0);

    private final List<String> worn = new ArrayList<>();
    private final HealthBook book = new HealthBook(HealthRules.DEFAULT, new HealthListener() {
        @Override
        public void changed(ComponentHealth health, HealthState before) {}

        @Override
        public void noticed(HardwareEvent event, ComponentHealth health, HealthState before, boolean pageWorn) {
            if (pageWorn) {
                worn.add("0x" + Long.toHexString(event.address()) + " of "
                        + event.component().words());
            }
        }
    });

    private void corrected(Component place, long address, long count, long nowMs) {
        book.record(
                Trouble.event(EventKind.MEMORY_ERROR, Severity.CORRECTED, place, address, count), false, null, nowMs);
    }

    private ComponentHealth only() {
        return Trouble.onlyMemory(book);
    }

    private HealthBook nextLife(Path directory) throws IOException {
        Path file = directory.resolve("health");
        HealthFile.save(HealthFile.content(book, Pending.NONE, START), file);
        HealthBook next = new HealthBook(HealthRules.DEFAULT, (health, before) -> {});
        HealthFile.load(next, file);
        return next;
    }

    @Test
    void shouldKnowPatternsInItsNextLife(@TempDir Path directory) throws IOException {
        corrected(A2.place(0, 3, 0x1a2, 0x10), 0x5000, 1, START);
        HealthBook next = nextLife(directory);
        HardwareEvent second =
                Trouble.event(EventKind.MEMORY_ERROR, Severity.CORRECTED, A2.place(0, 3, 0x1a2, 0x18), 0x5000, 1);
        next.record(second, false, null, START + MINUTE);
        assertThat(next.all().get(0).evidence())
                .last()
                .isEqualTo("errors in 2 columns of row 0x1a2 of bank 3 in 10 minutes");
        HealthBook rows = nextLife(directory);
        rows.record(second.on(A2.place(0, 3, 0x1a3, 0x10)).near(0x9000), false, null, START + MINUTE);
        assertThat(rows.all().get(0).evidence()).last().isEqualTo("errors in 2 rows of bank 3 in 10 minutes");
        HealthBook pages = nextLife(directory);
        pages.record(second.on(A2), false, null, START + HOUR);
        assertThat(pages.all().get(0).action()).isEqualTo("Take the page at 0x5000 out of use.");
    }

    @Test
    void shouldKnowAStormInItsNextLife(@TempDir Path directory) throws IOException {
        corrected(A2, -1, 600, START);
        HealthBook next = nextLife(directory);
        next.record(
                Trouble.event(EventKind.MEMORY_ERROR, Severity.CORRECTED, A2, -1, 600),
                false,
                null,
                START + 2 * MINUTE);
        assertThat(next.all().get(0).evidence()).contains("a storm of 1200 corrected errors");
    }

    private static HardwareEvent repaired(Component place, long address) {
        return Trouble.event(EventKind.MEMORY_ERROR, Severity.CORRECTED, place, address, 1);
    }

    /** Tells of a corrected error, and then of its module. */
    private void renamed(Component vague, Component known, long address, long nowMs) {
        HardwareEvent before = repaired(vague, address);
        book.record(before, false, null, nowMs);
        book.record(repaired(known, address), true, Earlier.of(before), nowMs + 1);
    }

    @Test
    void shouldFollowARowUnderThePartThatItIsIn() {
        Component.Memory channel = Component.Memory.ANYWHERE.at(0, -1, 1, -1);
        renamed(channel.place(0, 3, 0x1a2, 0x10), A2.place(0, 3, 0x1a2, 0x10), -1, START);
        assertThat(only().state()).isEqualTo(HealthState.WATCH);
        corrected(A2.place(0, 3, 0x1a2, 0x18), -1, 1, START + MINUTE);
        assertThat(only().state()).isEqualTo(HealthState.DEGRADING);
        assertThat(only().evidence()).last().isEqualTo("errors in 2 columns of row 0x1a2 of bank 3 in 10 minutes");
    }

    @Test
    void shouldSeeAPatternInRowsThatOnlyTheSecondSourceNames() {
        Component.Memory anywhere = Component.Memory.ANYWHERE;
        renamed(anywhere, A2.place(0, 3, 0x1a2, 0x10), 0x5000, START);
        renamed(A2, A2.place(0, 3, 0x1a3, 0x10), 0x9000, START + MINUTE);
        assertThat(only().corrected()).isEqualTo(2);
        assertThat(only().evidence()).last().isEqualTo("errors in 2 rows of bank 3 in 10 minutes");
        assertThat(only().action())
                .isEqualTo(
                        "Move the VMs away soon; replace DIMM CPU0 controller 0 channel 1 slot 0 (A2) at the next chance.");
    }

    @Test
    void shouldTakeAPatternFromAPartInWhichItDidNotHappen() {
        Component.Memory channel = Component.Memory.ANYWHERE.at(0, -1, 1, -1);
        HardwareEvent first = repaired(channel.place(0, 3, 0x1a2, 0x10), -1);
        book.record(first, false, null, START);
        corrected(channel.place(0, 3, 0x1a2, 0x18), -1, 1, START);
        assertThat(book.host()).isEqualTo(HealthState.DEGRADING);
        book.record(first.on(A2.place(0, 3, 0x1a2, 0x10)), true, Earlier.of(first), START + 1);
        assertThat(book.host()).isEqualTo(HealthState.WATCH);
        assertThat(book.all()).anySatisfy(part -> {
            assertThat(part.component()).isEqualTo(channel);
            assertThat(part.corrected()).isEqualTo(1);
            assertThat(part.evidence())
                    .noneMatch(reason -> reason.contains("columns"))
                    .last()
                    .isEqualTo("it happened to " + A2.words());
            assertThat(part.action()).isEmpty();
        });
    }

    @Test
    void shouldLeaveToAPartThePatternThatIsLeftThere() {
        Component.Memory channel = Component.Memory.ANYWHERE.at(0, -1, 1, -1);
        corrected(channel.place(0, 3, 0x1a2, 0x10), -1, 1, START);
        corrected(channel.place(0, 3, 0x1a2, 0x18), -1, 1, START);
        HardwareEvent third = repaired(channel.place(0, 3, 0x1a2, 0x20), -1);
        book.record(third, false, null, START);
        book.record(third.on(A2.place(0, 3, 0x1a2, 0x20)), true, Earlier.of(third), START + 1);
        assertThat(book.all().get(0).component()).isEqualTo(channel);
        assertThat(book.all().get(0).state()).isEqualTo(HealthState.DEGRADING);
        assertThat(book.all().get(0).evidence())
                .filteredOn(reason -> reason.contains("columns"))
                .containsExactly("errors in 2 columns of row 0x1a2 of bank 3 in 10 minutes");
    }

    @Test
    void shouldTakeWhatAloneMakesAPartDegradeToThePartThatItHappenedTo() {
        Component.Memory channel = Component.Memory.ANYWHERE.at(0, -1, 1, -1);
        corrected(channel, -1, 1, START);
        HardwareEvent spare = Trouble.event(EventKind.MEMORY_SPARE, Severity.CORRECTED, channel, -1, 1);
        book.record(spare, false, null, START);
        corrected(channel.place(0, 3, 1, 1), -1, 9, START);
        HardwareEvent more = repaired(channel, -1);
        book.record(more, false, null, START);
        book.record(more.on(A2), true, Earlier.of(more), START + 1);
        assertThat(state(channel)).as("a spare is still in use there").isEqualTo(HealthState.DEGRADING);
        book.record(spare.on(A2), true, Earlier.of(spare), START + 2);
        assertThat(state(A2)).isEqualTo(HealthState.DEGRADING);
    }

    private HealthState state(Component part) {
        return book.all().stream()
                .filter(health -> health.component().equals(part))
                .findFirst()
                .orElseThrow()
                .state();
    }

    @Test
    void shouldCountAPageWhateverPartItIsKnownToBeIn() {
        Component page = new Component.PhysicalAddress(0x5000, 4096);
        book.record(repaired(page, 0x5000), false, null, START);
        renamed(page, A2, 0x5000, START + HOUR);
        assertThat(state(A2)).isEqualTo(HealthState.WATCH);
        assertThat(worn).containsExactly("0x5000 of memory at physical address 0x5000 (4096 bytes)");
        corrected(A2, 0x5000, 1, START + 2 * HOUR);
        assertThat(worn).last().isEqualTo("0x5000 of " + A2.words());
    }

    /** Of a module that is degrading, and whose other errors come many to a second. */
    @Test
    void shouldTellOfEachWornPageInAStormOnce() {
        corrected(A2, -1, 100, START);
        for (int page = 1; page <= 5; page++) {
            for (int error = 0; error < 4; error++) {
                corrected(A2, page << 12, 1, START + page);
            }
        }
        assertThat(worn)
                .containsExactly(
                        "0x1000 of " + A2.words(),
                        "0x2000 of " + A2.words(),
                        "0x3000 of " + A2.words(),
                        "0x4000 of " + A2.words(),
                        "0x5000 of " + A2.words());
    }

    @Test
    void shouldForgetThePatternsOfAPartThatWasReplaced() {
        corrected(A2.place(0, 3, 0x1a2, 0x10), 0x5000, 7, START);
        book.clear(component -> component.equals(A2), START);
        corrected(A2.place(0, 3, 0x1a2, 0x18), 0x5000, 1, START + MINUTE);
        assertThat(only().state()).isEqualTo(HealthState.WATCH);
        assertThat(only().action()).isEmpty();
    }

    @Test
    void shouldCountForTheSocketInWhichItHappened() {
        Component.Memory other = Component.Memory.ANYWHERE.at(1, -1, 1, -1);
        renamed(other, A2, 0x5000, START);
        assertThat(book.all())
                .extracting(ComponentHealth::component)
                .containsExactly(A2, new Component.Host("memory of CPU0"));
    }
}
