package io.lockstep.telemetry.fault;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.tuple;

import io.lockstep.telemetry.decode.MemoryLocation;
import io.lockstep.telemetry.event.Component;
import io.lockstep.telemetry.event.Earlier;
import io.lockstep.telemetry.event.EventKind;
import io.lockstep.telemetry.event.HardwareEvent;
import io.lockstep.telemetry.event.OpenFault;
import io.lockstep.telemetry.event.Raw;
import io.lockstep.telemetry.event.Severity;
import io.lockstep.telemetry.event.Tally;
import io.lockstep.telemetry.inventory.Inventory;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

class FaultMergerTest {
    private static final Component.Memory CHANNEL = Component.Memory.ANYWHERE.at(0, -1, 1, -1);
    private static final Component.Memory MODULE =
            Component.Memory.ANYWHERE.labelled("A2").at(0, -1, 1, 0);

    private final List<String> told = new ArrayList<>();
    private final List<HardwareEvent> events = new ArrayList<>();
    private final List<Optional<Earlier>> earliers = new ArrayList<>();
    private final FaultMerger merger = new FaultMerger(part -> part, (event, refined, earlier) -> {
        events.add(event);
        earliers.add(Optional.ofNullable(earlier));
        told.add((refined ? "refined " : "") + event.line());
    });

    private static HardwareEvent event(
            String source, EventKind kind, Severity severity, Component place, long address, long count) {
        return new HardwareEvent(1, kind, severity, place, address, count, source, "trouble", Raw.NONE);
    }

    private static HardwareEvent corrected(String source, Component place, long address, long count) {
        return event(source, EventKind.MEMORY_ERROR, Severity.CORRECTED, place, address, count);
    }

    @Test
    void shouldCountOnceWhatFourSourcesTellAndKnowThePlaceThatOneOfThemTold() {
        merger.offer(event("mce", EventKind.FIRMWARE, Severity.CORRECTED, Component.Memory.ANYWHERE, 0x5000040, 1), 0);
        merger.offer(corrected("mce", CHANNEL, 0x5000040, 2), 10);
        merger.offer(corrected("edac", MODULE, 0x5000000, 3), 20);
        assertThat(told).isEmpty();
        merger.drain(FaultMerger.HOLD_MS);
        assertThat(told)
                .containsExactly(
                        "corrected error on DIMM CPU0 channel 1 slot 0 (A2) at address 0x5000040, 3 times: trouble"
                                + " (mce)");
        merger.offer(corrected("edac-counters", Component.Memory.ANYWHERE.at(-1, 0, 1, 0), -1, 3), 4000);
        merger.drain(4000 + FaultMerger.HOLD_MS);
        assertThat(told).hasSize(1);
        merger.offer(corrected("edac-counters", Component.Memory.ANYWHERE.at(-1, 0, 1, 0), -1, 5), 6000);
        merger.drain(6000 + FaultMerger.HOLD_MS);
        assertThat(events.get(1).count()).isEqualTo(5);
    }

    @Test
    void shouldSayWhichModuleLostDataWhenOnlyTheFirmwareKnowsAndTellsItLast() {
        Component page = new Component.PhysicalAddress(0x5003000, 4096);
        merger.offer(event("memory-failure", EventKind.PAGE_FAILED, Severity.ACTION_OPTIONAL, page, 0x5003000, 1), 0);
        merger.offer(
                event("mce", EventKind.FIRMWARE, Severity.RECOVERABLE, Component.Memory.ANYWHERE, 0x5003000, 1), 10);
        merger.offer(event("ghes", EventKind.MEMORY_ERROR, Severity.RECOVERABLE, MODULE, 0x5003000, 1), 120);
        assertThat(told)
                .containsExactly(
                        "uncorrected error, action optional on memory at physical address 0x5003000 (4096 bytes) at address"
                                + " 0x5003000: trouble (memory-failure)",
                        "refined uncorrected error, action optional on DIMM CPU0 channel 1 slot 0 (A2) at address 0x5003000:"
                                + " trouble (ghes)");
    }

    @Test
    void shouldSayWhatItToldBeforeWhenAPartIsBetterNamed() {
        HardwareEvent firmware =
                event("mce", EventKind.FIRMWARE, Severity.RECOVERABLE, Component.Memory.ANYWHERE, 0x5003000, 1);
        merger.offer(firmware, 0);
        merger.offer(firmware, 1);
        merger.offer(event("ghes", EventKind.MEMORY_ERROR, Severity.RECOVERABLE, MODULE, 0x5003000, 1), 120);
        assertThat(earliers.get(0)).isEmpty();
        assertThat(earliers.get(2)).hasValueSatisfying(earlier -> {
            assertThat(earlier.event().component()).isEqualTo(Component.Memory.ANYWHERE);
            assertThat(earlier.uncorrected()).isEqualTo(2);
            assertThat(earlier.corrected()).isZero();
        });
        // The counters' share moved, too: another module's growth is no part of it.
        assertThat(merger.tallies(200)).containsExactly(new Tally(MODULE, true, 2, Map.of()));
    }

    /** A processor that repaired memory from its mirror and does not say where; two seconds later the firmware tells of a page of that channel. */
    @Test
    void shouldTakeFaultsOfDifferentKindsForDifferentFaultsWhenOneHasNoAddress() {
        merger.offer(event("mce", EventKind.MIRROR_SCRUBBED, Severity.CORRECTED, CHANNEL, -1, 1), 0);
        merger.offer(corrected("ghes", MODULE, 0x5000000, 1), 2000);
        merger.drain(2000 + FaultMerger.HOLD_MS);
        assertThat(told)
                .containsExactly(
                        "corrected error on memory of CPU0 channel 1: trouble (mce)",
                        "corrected error on DIMM CPU0 channel 1 slot 0 (A2) at address 0x5000000: trouble (ghes)");
    }

    /** Both are machine checks: of the memory's bank, and of the cache of the processor that read what was lost. */
    @Test
    void shouldCountOnceWhatTheMemoryLostAndAProcessorMet() {
        merger.offer(event("mce", EventKind.MEMORY_ERROR, Severity.NO_ACTION, MODULE, 0x5000000, 1), 0);
        merger.offer(
                event("mce", EventKind.POISON, Severity.ACTION_REQUIRED, Component.Memory.ANYWHERE, 0x5000040, 1), 1);
        assertThat(earliers).last().satisfies(earlier -> assertThat(earlier)
                .hasValueSatisfying(before -> assertThat(before.uncorrected()).isEqualTo(1)));
        assertThat(told).last().asString().startsWith("refined ").contains("(A2)");
    }

    @Test
    void shouldNameACorrectedErrorThatWasToldBeforeItsModuleWasKnown() {
        merger.offer(event("mce", EventKind.FIRMWARE, Severity.CORRECTED, Component.Memory.ANYWHERE, 0x5003000, 1), 0);
        merger.drain(FaultMerger.HOLD_MS);
        merger.offer(corrected("ghes", MODULE, 0x5003000, 1), 600);
        merger.drain(1200);
        merger.drain(1800);
        assertThat(told)
                .containsExactly(
                        "corrected error on a DIMM at address 0x5003000: trouble (mce)",
                        "refined corrected error on DIMM CPU0 channel 1 slot 0 (A2) at address 0x5003000: trouble (ghes)");
        assertThat(earliers.get(1))
                .hasValueSatisfying(earlier -> assertThat(earlier.corrected()).isEqualTo(1));
    }

    @Test
    void shouldNameThePageThatACountersModuleLostWhenNoOtherIsMeant() {
        Component page = new Component.PhysicalAddress(0x7000000, 4096);
        merger.offer(event("memory-failure", EventKind.PAGE_FAILED, Severity.ACTION_OPTIONAL, page, 0x7000000, 1), 0);
        merger.offer(lost("edac-counters", EventKind.MEMORY_ERROR, MODULE), 100);
        merger.drain(100 + FaultMerger.HOLD_MS);
        assertThat(told.get(1))
                .isEqualTo("refined uncorrected error on DIMM CPU0 channel 1 slot 0 (A2) at address 0x7000000: trouble"
                        + " (edac-counters)");
        assertThat(earliers.get(1))
                .hasValueSatisfying(
                        earlier -> assertThat(earlier.event().component()).isEqualTo(page));
    }

    @Test
    void shouldNotGuessWhichOfTwoPagesACountersModuleLost() {
        for (long address : new long[] {0x7000000, 0x8000000}) {
            Component page = new Component.PhysicalAddress(address, 4096);
            merger.offer(event("memory-failure", EventKind.PAGE_FAILED, Severity.ACTION_OPTIONAL, page, address, 1), 0);
        }
        merger.offer(lost("edac-counters", EventKind.MEMORY_ERROR, MODULE), 100);
        merger.offer(lost("edac-counters", EventKind.MEMORY_ERROR, CHANNEL.labelled("B7")), 100);
        merger.drain(100 + FaultMerger.HOLD_MS);
        assertThat(told).hasSize(2);
    }

    @Test
    void shouldHandOnAtOnceWhatCallsForActionAndOnlyOnce() {
        merger.offer(event("mce", EventKind.MEMORY_SCRUB, Severity.ACTION_OPTIONAL, CHANNEL, 0x7000000, 1), 0);
        assertThat(told).hasSize(1);
        HardwareEvent page = event(
                "memory-failure",
                EventKind.PAGE_FAILED,
                Severity.ACTION_OPTIONAL,
                new Component.PhysicalAddress(0x7000000, 4096),
                0x7000000,
                1);
        merger.offer(page, 5);
        merger.drain(600);
        merger.end(10_000);
        assertThat(told).hasSize(1);
    }

    @Test
    void shouldTellAgainWithoutCountingWhenTheFirmwareKnowsThatAMirrorBroke() {
        merger.offer(event("mce", EventKind.FIRMWARE, Severity.CORRECTED, Component.Memory.ANYWHERE, 0x5000000, 1), 0);
        merger.drain(FaultMerger.HOLD_MS);
        merger.offer(event("ghes", EventKind.MIRROR_BROKEN, Severity.CORRECTED, MODULE, 0x5000000, 1), 600);
        assertThat(told)
                .containsExactly(
                        "corrected error on a DIMM at address 0x5000000: trouble (mce)",
                        "refined corrected error on DIMM CPU0 channel 1 slot 0 (A2) at address 0x5000000: trouble (ghes)");
    }

    @Test
    void shouldNotTakeACounterOfLostDataForWhatWasRepaired() {
        merger.offer(corrected("edac", MODULE, 0x5000000, 3), 0);
        merger.offer(event("edac-counters", EventKind.MEMORY_ERROR, Severity.RECOVERABLE, MODULE, -1, 1), 100);
        merger.offer(corrected("edac-counters", MODULE, -1, 3), 100);
        merger.drain(100 + FaultMerger.HOLD_MS);
        assertThat(told)
                .containsExactly(
                        "corrected error on DIMM CPU0 channel 1 slot 0 (A2) at address 0x5000000, 3 times: trouble (edac)",
                        "uncorrected error on DIMM CPU0 channel 1 slot 0 (A2): trouble (edac-counters)");
    }

    @Test
    void shouldCountWhatWasLostInAPageBesideWhatWasRepairedThere() {
        merger.offer(corrected("mce", MODULE, 0x5000040, 2), 0);
        merger.offer(event("mce", EventKind.MEMORY_ERROR, Severity.ACTION_OPTIONAL, MODULE, 0x5000080, 1), 10);
        assertThat(events).extracting(HardwareEvent::severity).containsExactly(Severity.ACTION_OPTIONAL);
        merger.offer(corrected("mce", MODULE, 0x50000c0, 3), 20);
        merger.drain(FaultMerger.HOLD_MS);
        assertThat(events)
                .extracting(HardwareEvent::severity, HardwareEvent::count)
                .containsExactly(tuple(Severity.ACTION_OPTIONAL, 1L), tuple(Severity.CORRECTED, 5L));
    }

    @Test
    void shouldCountAPageOnceThatTheKernelAndQemuTellOf() {
        Component page = new Component.PhysicalAddress(0x7000000, 4096);
        HardwareEvent guest =
                event("guests", EventKind.GUEST_MEMORY, Severity.ACTION_REQUIRED, Component.Memory.ANYWHERE, -1, 1);
        merger.offer(event("memory-failure", EventKind.PAGE_FAILED, Severity.ACTION_OPTIONAL, page, 0x7000000, 1), 0);
        merger.offer(guest, 10);
        assertThat(told.get(1))
                .startsWith("refined uncorrected error, action required on memory at physical address 0x7000000");
        merger.offer(guest, 20);
        assertThat(told.get(2)).as("one that the kernel did not tell").doesNotStartWith("refined");
    }

    private static HardwareEvent lost(String counter, EventKind kind, Component place) {
        return event(counter, kind, Severity.RECOVERABLE, place, -1, 1);
    }

    @Test
    void shouldCountOnceWhatTwoCountersShow() {
        merger.offer(event("mce", EventKind.MEMORY_ERROR, Severity.ACTION_OPTIONAL, CHANNEL, 0x7000000, 1), 0);
        merger.offer(lost("edac-counters", EventKind.MEMORY_ERROR, MODULE), 100);
        merger.offer(lost("poisoned-memory", EventKind.PAGE_FAILED, Component.Memory.ANYWHERE), 101);
        merger.drain(101 + FaultMerger.HOLD_MS);
        assertThat(told).hasSize(1);
        merger.offer(lost("edac-counters", EventKind.MEMORY_ERROR, MODULE), 1000);
        merger.offer(lost("poisoned-memory", EventKind.PAGE_FAILED, Component.Memory.ANYWHERE), 1001);
        merger.drain(1001 + FaultMerger.HOLD_MS);
        assertThat(told.get(1))
                .isEqualTo("uncorrected error on DIMM CPU0 channel 1 slot 0 (A2): trouble (edac-counters)");
        assertThat(told).hasSize(2);
    }

    @Test
    void shouldNameTheModuleThatOnlyTheSecondCounterKnows() {
        merger.offer(lost("poisoned-memory", EventKind.PAGE_FAILED, Component.Memory.ANYWHERE), 0);
        merger.offer(lost("edac-counters", EventKind.MEMORY_ERROR, MODULE), 1);
        merger.drain(1 + FaultMerger.HOLD_MS);
        assertThat(told)
                .containsExactly(
                        "uncorrected error on a DIMM: trouble (poisoned-memory)",
                        "refined uncorrected error on DIMM CPU0 channel 1 slot 0 (A2): trouble (edac-counters)");
    }

    @Test
    void shouldCountAPageOnceThatAGuestAndTheKernelsCounterTellOf() {
        merger.offer(lost("guests", EventKind.GUEST_MEMORY, Component.Memory.ANYWHERE), 0);
        merger.offer(lost("poisoned-memory", EventKind.PAGE_FAILED, Component.Memory.ANYWHERE), 3000);
        merger.drain(3000 + FaultMerger.HOLD_MS);
        assertThat(told).containsExactly("uncorrected error on a DIMM: trouble (guests)");
    }

    @Test
    void shouldKnowInItsNextLifeWhatNoCounterHasShownYet() {
        merger.offer(corrected("mce", MODULE, 0x1000, 3), 0);
        merger.drain(FaultMerger.HOLD_MS);
        merger.offer(corrected("edac-counters", MODULE, -1, 2), 1000);
        merger.drain(1000 + FaultMerger.HOLD_MS);
        assertThat(merger.tallies(2000)).containsExactly(new Tally(MODULE, false, 3, Map.of("edac-counters", 2L)));
        FaultMerger next = new FaultMerger(part -> part, (event, refined, earlier) -> events.add(event));
        next.restore(merger.tallies(2000), List.of(), 0);
        events.clear();
        next.offer(corrected("edac-counters", MODULE, -1, 2), 10);
        next.drain(10 + FaultMerger.HOLD_MS);
        assertThat(events).extracting(HardwareEvent::count).containsExactly(1L);
        assertThat(next.tallies(600)).isEmpty();
        assertThat(merger.tallies(1000 + ToldPlaces.COUNTED_MS)).isEmpty();
    }

    @Test
    void shouldLeaveACountersGrowthToTheNextAgentWhenTheErrorIsStillToBeTold() {
        List<Raw.Counter> settled = new ArrayList<>();
        FaultMerger ending = new FaultMerger(part -> part, new FaultSink() {
            @Override
            public void fault(HardwareEvent event, boolean refined, @Nullable Earlier earlier) {
                events.add(event);
            }

            @Override
            public void settled(Raw.Counter counter) {
                settled.add(counter);
            }
        });
        Raw.Counter reading = new Raw.Counter("mc0/dimm0", 7, false, "");
        ending.offer(corrected("edac-counters", MODULE, -1, 1).seenAs(reading), 0);
        ending.flush(100);
        assertThat(events).isEmpty();
        assertThat(settled).isEmpty();
        FaultMerger next = new FaultMerger(part -> part, (event, refined, earlier) -> events.add(event));
        next.restore(ending.tallies(100), ending.open(100), 0);
        next.offer(corrected("mce", CHANNEL, 0x5000, 1), 10);
        next.offer(corrected("edac-counters", MODULE, -1, 1).seenAs(reading), 20);
        next.drain(20 + FaultMerger.HOLD_MS);
        assertThat(events.stream().filter(event -> event.source().equals("mce")))
                .hasSize(1);
        assertThat(events.stream().filter(event -> event.source().equals("edac-counters")))
                .isEmpty();
    }

    @Test
    void shouldKnowInItsNextLifeWhichCounterHasShownWhat() {
        merger.offer(event("mce", EventKind.MEMORY_ERROR, Severity.ACTION_OPTIONAL, CHANNEL, 0x7000000, 1), 0);
        merger.offer(lost("edac-counters", EventKind.MEMORY_ERROR, MODULE), 100);
        merger.drain(100 + FaultMerger.HOLD_MS);
        FaultMerger next = new FaultMerger(part -> part, (event, refined, earlier) -> events.add(event));
        next.restore(merger.tallies(700), List.of(), 0);
        events.clear();
        next.offer(lost("poisoned-memory", EventKind.PAGE_FAILED, Component.Memory.ANYWHERE), 10);
        next.offer(lost("edac-counters", EventKind.MEMORY_ERROR, MODULE), 11);
        next.drain(11 + FaultMerger.HOLD_MS);
        assertThat(events).extracting(HardwareEvent::source).containsExactly("edac-counters");
    }

    /** AMD: the machine check has no physical address ({@code drivers/edac/amd64_edac.c} works it out), EDAC's event follows. */
    private void amd(Severity severity, long address, long nowMs) {
        Component.Memory place = Component.Memory.ANYWHERE.at(0, -1, 3, 2).place(1, -1, -1, -1);
        merger.offer(event("mce", EventKind.MEMORY_ERROR, severity, place, -1, 1), nowMs);
        Component.Memory label = MemoryLocation.ofLabel("mc#0csrow#5channel#3", 0);
        merger.offer(event("edac", EventKind.MEMORY_ERROR, severity, label, address, 1), nowMs + 1);
    }

    @Test
    void shouldMergeWhatOnlyOneOfTwoSourcesKnowsTheAddressOf() {
        String dimm = " on DIMM CPU0 controller 0 channel 3 slot 2, rank 1 at address ";
        amd(Severity.CORRECTED, 0x7000000, 0);
        amd(Severity.CORRECTED, 0x8000000, 10);
        amd(Severity.CORRECTED, 0x7000040, 20);
        merger.drain(20 + FaultMerger.HOLD_MS);
        merger.drain(40 + FaultMerger.HOLD_MS);
        assertThat(told)
                .containsExactlyInAnyOrder(
                        "corrected error" + dimm + "0x7000000, 2 times: trouble (mce)",
                        "corrected error" + dimm + "0x8000000: trouble (mce)");
        told.clear();
        amd(Severity.DEFERRED, 0x9000000, 2000);
        merger.end(4000);
        assertThat(told)
                .containsExactly(
                        "deferred error on DIMM CPU0 channel 3 slot 2, rank 1: trouble (mce)",
                        "refined deferred error" + dimm + "0x9000000: trouble (mce)");
    }

    @Test
    void shouldMergeWhatNoSourceKnowsTheAddressOf() {
        merger.offer(event("edac", EventKind.MEMORY_ERROR, Severity.RECOVERABLE, MODULE, -1, 1), 0);
        Component.Memory label = Component.Memory.ANYWHERE.labelled("A2");
        merger.offer(event("ghes", EventKind.MEMORY_ERROR, Severity.RECOVERABLE, label, -1, 1), 100);
        Component.Memory other = Component.Memory.ANYWHERE.labelled("B7");
        merger.offer(event("ghes", EventKind.MEMORY_ERROR, Severity.RECOVERABLE, other, -1, 1), 200);
        merger.offer(event("mce", EventKind.MEMORY_ERROR, Severity.CORRECTED, CHANNEL, -1, 1), 300);
        merger.end(2000);
        assertThat(told)
                .containsExactly(
                        "uncorrected error on DIMM CPU0 channel 1 slot 0 (A2): trouble (edac)",
                        "uncorrected error on DIMM B7: trouble (ghes)",
                        "corrected error on memory of CPU0 channel 1: trouble (mce)");
    }

    @Test
    void shouldGiveAModuleOneNameWhateverASourceKnowsOfIt() {
        Component.Memory layout = Component.Memory.ANYWHERE.at(-1, 0, 3, 2).identified(32L << 30, "");
        MemoryIdentity identity = new MemoryIdentity(List.of(layout, layout.at(-1, 0, 3, 1)), List.of());
        Component.Memory check = Component.Memory.ANYWHERE.at(0, -1, 3, 2).place(1, -1, -1, -1);
        assertThat(identity.resolve(check)).isEqualTo(layout.place(1, -1, -1, -1));
        assertThat(identity.resolve(MemoryLocation.ofLabel("mc#0csrow#5channel#3", 0)))
                .isEqualTo(layout.place(1, -1, -1, -1));
    }

    @Test
    void shouldTellBothWhenOneSourceSawTwoUncorrectedErrors() {
        HardwareEvent lost = event("mce", EventKind.MEMORY_ERROR, Severity.NO_ACTION, CHANNEL, 0x7000000, 1);
        merger.offer(lost, 0);
        merger.offer(lost, 1);
        assertThat(told).hasSize(2);
    }

    @Test
    void shouldTakeTheSamePlaceForANewFaultAfterAWhile() {
        merger.offer(corrected("mce", CHANNEL, 0x1000, 1), 0);
        merger.offer(corrected("edac", MODULE, 0x1000, 1), FaultMerger.SAME_MS + 1);
        merger.end(10_000);
        assertThat(events).extracting(HardwareEvent::count).containsExactly(1L, 1L);
    }

    @Test
    void shouldSumAStormAndLoseNone() {
        long sent = 0;
        for (int i = 0; i < 200_000; i++) {
            merger.offer(corrected("mce", CHANNEL, (long) (i % 20_000) << 12, 1), i / 40);
            sent++;
        }
        merger.end(5000);
        assertThat(events.stream().mapToLong(HardwareEvent::count).sum()).isEqualTo(sent);
    }

    @Test
    void shouldLeaveOpenTheNewestFaultsOfAStormAndFirstThoseThatCallForAction() {
        merger.offer(event("mce", EventKind.MEMORY_ERROR, Severity.NO_ACTION, CHANNEL, 0x7000, 1), 0);
        int pages = 3 * FaultMerger.OPEN_MAX;
        for (int i = 0; i < pages; i++) {
            merger.offer(corrected("mce", CHANNEL, 0x1000000 + ((long) i << 12), 1), i);
        }
        List<OpenFault> open = merger.open(pages);
        assertThat(open).hasSize(FaultMerger.OPEN_MAX);
        assertThat(open).filteredOn(fault -> fault.best().immediate()).hasSize(1);
        assertThat(open)
                .extracting(fault -> fault.first().address())
                .contains(0x1000000 + ((long) (pages - 1) << 12))
                .doesNotContain(0x1000000L);
    }

    @Test
    void shouldNotMixDifferentDevices() {
        Component one = new Component.Pcie(0, 1, 0, 0);
        Component other = new Component.Pcie(0, 2, 0, 0);
        merger.offer(event("aer", EventKind.PCIE, Severity.CORRECTED, one, -1, 1), 0);
        merger.offer(event("aer", EventKind.PCIE, Severity.CORRECTED, other, -1, 1), 0);
        merger.offer(event("aer-counters", EventKind.PCIE, Severity.CORRECTED, one, -1, 1), 100);
        merger.end(1000);
        assertThat(events).extracting(HardwareEvent::component).containsExactly(one, other);
    }

    @Test
    void shouldCountOnceWhatACounterShowsBeforeTheKernelTellsOfIt() {
        Component device = new Component.Pcie(0, 1, 0, 0);
        merger.offer(event("aer-counters", EventKind.PCIE, Severity.CORRECTED, device, -1, 1), 0);
        merger.offer(event("aer", EventKind.PCIE, Severity.CORRECTED, device, -1, 1), 50);
        merger.drain(50 + FaultMerger.HOLD_MS);
        merger.end(2000);
        assertThat(told).containsExactly("corrected error on PCIe device 0000:01:00.0: trouble (aer)");
    }

    @Test
    void shouldTellAFatalAndACorrectedErrorOfOneDeviceEachByItself() {
        Component device = new Component.Pcie(0, 1, 0, 0);
        merger.offer(event("aer", EventKind.PCIE, Severity.FATAL, device, -1, 1), 0);
        merger.offer(event("aer", EventKind.PCIE, Severity.CORRECTED, device, -1, 1), 50);
        merger.offer(event("aer-counters", EventKind.PCIE, Severity.CORRECTED, device, -1, 1), 100);
        merger.end(2000);
        assertThat(told)
                .containsExactly(
                        "fatal error on PCIe device 0000:01:00.0: trouble (aer)",
                        "corrected error on PCIe device 0000:01:00.0: trouble (aer)");
    }

    @Test
    void shouldNameTheModuleWithSizeAndSerialNumber() {
        Optional<String> none = Optional.empty();
        Inventory.Dimm dimm = new Inventory.Dimm(
                Optional.of("NODE 1/A2"), 32L << 30, OptionalLong.empty(), none, none, none, Optional.of("12AB"));
        MemoryIdentity identity =
                new MemoryIdentity(List.of(MODULE, MODULE.labelled("A1").at(0, -1, 0, 0)), List.of(dimm));
        assertThat(identity.resolve(CHANNEL.place(1, 3, 5, 7)).words())
                .isEqualTo("DIMM CPU0 channel 1 slot 0 (A2), 32 GiB, serial 12AB, rank 1, bank 3, row 0x5, column 0x7");
        assertThat(identity.resolve(Component.Memory.ANYWHERE)).isEqualTo(Component.Memory.ANYWHERE);
        assertThat(identity.resolve(new Component.Nic("eth0"))).isEqualTo(new Component.Nic("eth0"));
        MemoryIdentity table = new MemoryIdentity(List.of(), List.of(dimm));
        assertThat(table.resolve(Component.Memory.ANYWHERE.labelled("A2")).words())
                .isEqualTo("DIMM A2, 32 GiB, serial 12AB");
        assertThat(table.modules()).hasSize(1);
    }
}
