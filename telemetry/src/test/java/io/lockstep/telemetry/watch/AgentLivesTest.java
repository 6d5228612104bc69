package io.lockstep.telemetry.watch;

import static org.assertj.core.api.Assertions.assertThat;

import io.lockstep.telemetry.event.Component;
import io.lockstep.telemetry.event.EventKind;
import io.lockstep.telemetry.event.HardwareEvent;
import io.lockstep.telemetry.event.Raw;
import io.lockstep.telemetry.event.Severity;
import io.lockstep.telemetry.fault.FaultMerger;
import io.lockstep.telemetry.health.ComponentHealth;
import io.lockstep.telemetry.health.HealthBook;
import io.lockstep.telemetry.health.HealthFile;
import io.lockstep.telemetry.health.HealthRules;
import io.lockstep.telemetry.health.Pending;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** One fault of which several sources tell, and an agent that is killed at every instant between their reports: it is counted once. */
class AgentLivesTest {
    private static final long EVENT_MS = 1_700_000_000_000L;
    private static final long GAP_MS = 400;
    private static final Component.Memory CHANNEL = Component.Memory.ANYWHERE.at(0, -1, 1, -1);
    private static final Component.Memory A2 =
            Component.Memory.ANYWHERE.labelled("A2").at(0, -1, 1, 0);
    private static final Component.Memory RANK = A2.place(1, -1, -1, -1);

    @TempDir
    Path directory;

    /** An agent's merger and accounts, which begin with what is on disk. Its clock has nothing to do with that of the one before. */
    private final class Life {
        final HealthBook book = new HealthBook(HealthRules.DEFAULT, (health, before) -> {});
        final FaultMerger merger;
        long nowMs;

        Life(long nowMs) throws IOException {
            this.nowMs = nowMs;
            merger = new FaultMerger(
                    part -> part, (event, refined, earlier) -> book.record(event, refined, earlier, EVENT_MS));
            Pending pending = HealthFile.load(book, directory.resolve("health"));
            merger.restore(pending.told(), pending.open(), nowMs);
        }

        void take(HardwareEvent event) {
            merger.offer(event, nowMs);
            pass(GAP_MS);
        }

        void pass(long ms) {
            nowMs += ms;
            merger.drain(nowMs);
        }

        void save() throws IOException {
            Pending pending = new Pending("boot", Map.of(), merger.tallies(nowMs), merger.open(nowMs), Map.of());
            HealthFile.save(HealthFile.content(book, pending, EVENT_MS), directory.resolve("health"));
        }
    }

    private static HardwareEvent event(
            String source, EventKind kind, Severity severity, Component place, long address, long count) {
        return new HardwareEvent(EVENT_MS, kind, severity, place, address, count, source, "trouble", Raw.NONE);
    }

    static Stream<Arguments> faults() {
        Component page = new Component.PhysicalAddress(0x5000, 4096);
        Component nowhere = Component.Memory.ANYWHERE;
        return Stream.of(
                Arguments.of(
                        "a page, and its module by the firmware",
                        A2,
                        1,
                        List.of(
                                event("mce", EventKind.FIRMWARE, Severity.RECOVERABLE, nowhere, 0x5000, 1),
                                event(
                                        "memory-failure",
                                        EventKind.PAGE_FAILED,
                                        Severity.ACTION_OPTIONAL,
                                        page,
                                        0x5000,
                                        1),
                                event("ghes", EventKind.MEMORY_ERROR, Severity.RECOVERABLE, A2, 0x5000, 1))),
                Arguments.of(
                        "corrected errors, which wait",
                        A2,
                        3,
                        List.of(
                                event("mce", EventKind.MEMORY_ERROR, Severity.CORRECTED, CHANNEL, 0x5040, 3),
                                event("ghes", EventKind.MEMORY_ERROR, Severity.CORRECTED, nowhere, 0x5000, 3),
                                event("edac", EventKind.MEMORY_ERROR, Severity.CORRECTED, A2, 0x5000, 3))),
                Arguments.of(
                        "AMD: an error without an address, and with it",
                        A2,
                        1,
                        List.of(
                                event("mce", EventKind.MEMORY_ERROR, Severity.DEFERRED, CHANNEL, -1, 1),
                                event("edac", EventKind.MEMORY_ERROR, Severity.DEFERRED, RANK, 0x5000, 1))),
                Arguments.of(
                        "a mirror of which the firmware alone knows",
                        A2,
                        1,
                        List.of(
                                event("mce", EventKind.FIRMWARE, Severity.CORRECTED, nowhere, 0x5000, 1),
                                event("ghes", EventKind.MIRROR_BROKEN, Severity.CORRECTED, A2, 0x5000, 1))),
                Arguments.of(
                        "a device and its counter",
                        new Component.Pcie(0, 1, 0, 0),
                        1,
                        List.of(
                                event(
                                        "aer",
                                        EventKind.PCIE,
                                        Severity.RECOVERABLE,
                                        new Component.Pcie(0, 1, 0, 0),
                                        -1,
                                        1),
                                event(
                                        "aer-counters",
                                        EventKind.PCIE,
                                        Severity.RECOVERABLE,
                                        new Component.Pcie(0, 1, 0, 0),
                                        -1,
                                        1))));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("faults")
    void shouldCountAFaultOnceWheneverTheAgentIsKilledBetweenTwoReports(
            String what, Component part, long errors, List<HardwareEvent> reports) throws IOException {
        // What the first agent read after it saved is lost with it; the kernel hands each event out once.
        for (int saved = 1; saved <= reports.size(); saved++) {
            for (int killed = saved; killed <= reports.size(); killed++) {
                boolean named = saved == killed || killed < reports.size();
                String when = what + ", saved after " + saved + " reports, killed after " + killed;
                for (boolean calm : new boolean[] {false, true}) {
                    HealthBook book = livesOf(reports, saved, killed, calm);
                    assertThat(parts(book)).as(when).singleElement().satisfies(health -> {
                        assertThat(health.corrected() + health.uncorrected()).isEqualTo(errors);
                        if (named) {
                            assertThat(health.component()).isEqualTo(part);
                        }
                    });
                }
            }
        }
    }

    /** @param calm whether what waited was handed on before it was saved */
    private HealthBook livesOf(List<HardwareEvent> reports, int saved, int killed, boolean calm) throws IOException {
        directory.resolve("health").toFile().delete();
        Life first = new Life(0);
        reports.subList(0, saved).forEach(first::take);
        first.pass(calm ? 2 * FaultMerger.HOLD_MS : 0);
        first.save();
        reports.subList(saved, killed).forEach(first::take);
        Life second = new Life(7_000_000);
        reports.subList(killed, reports.size()).forEach(second::take);
        second.pass(2 * FaultMerger.HOLD_MS);
        second.save();
        return new Life(0).book;
    }

    /** Without the sockets, which count their modules' errors once more. */
    private static List<ComponentHealth> parts(HealthBook book) {
        return book.all().stream()
                .filter(health -> !(health.component() instanceof Component.Host))
                .toList();
    }

    @Test
    void shouldTakeTheSamePlaceForANewFaultWhenItHappenedWhileNoAgentLooked() throws IOException {
        HardwareEvent vague =
                event("mce", EventKind.FIRMWARE, Severity.RECOVERABLE, Component.Memory.ANYWHERE, 0x5000, 1);
        Life first = new Life(0);
        first.take(vague);
        first.save();
        Life second = new Life(0);
        second.take(event("ghes", EventKind.MEMORY_ERROR, Severity.RECOVERABLE, A2, 0x5000, 1)
                .at(EVENT_MS + FaultMerger.SAME_MS + 1));
        assertThat(parts(second.book)).extracting(ComponentHealth::uncorrected).containsExactly(1L, 1L);
    }

    /** Two errors of one page, one before and one after the agent was killed; the firmware's log tells of both once more. */
    @ParameterizedTest
    @ValueSource(longs = {0x5000, HardwareEvent.NO_ADDRESS})
    void shouldCountTwoErrorsWhenOneWasBeforeTheKillAndBothAreToldAgain(long address) throws IOException {
        HardwareEvent early = event("mce", EventKind.MEMORY_ERROR, Severity.RECOVERABLE, A2, address, 1);
        HardwareEvent late = early.at(EVENT_MS + FaultMerger.SAME_MS + 1);
        Life first = new Life(0);
        first.take(early);
        first.save();
        Life second = new Life(0);
        second.take(late);
        second.save();
        // Its first fault and the one before must both be known to a third agent, too.
        Life third = new Life(0);
        for (HardwareEvent event : List.of(early, late)) {
            HardwareEvent again = event("ghes", EventKind.MEMORY_ERROR, Severity.RECOVERABLE, A2, address, 1)
                    .at(event.wallMs());
            second.take(again);
            third.take(again);
        }
        for (Life life : List.of(second, third)) {
            assertThat(parts(life.book)).singleElement().satisfies(health -> assertThat(health.uncorrected())
                    .isEqualTo(2));
        }
    }
}
