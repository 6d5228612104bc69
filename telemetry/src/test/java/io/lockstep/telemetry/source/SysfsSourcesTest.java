package io.lockstep.telemetry.source;

import static org.assertj.core.api.Assertions.assertThat;

import io.lockstep.telemetry.event.Component;
import io.lockstep.telemetry.event.EventKind;
import io.lockstep.telemetry.event.HardwareEvent;
import io.lockstep.telemetry.event.Raw;
import io.lockstep.telemetry.event.Severity;
import io.lockstep.telemetry.source.SourceState.Status;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Trees in the form of Documentation/ABI/testing/sysfs-devices-edac and its neighbours. */
class SysfsSourcesTest {
    private static final String MC = "devices/system/edac/mc/mc0/";
    private static final String MCE = "devices/system/machinecheck/machinecheck0/";

    @TempDir
    Path root;

    private final List<HardwareEvent> events = new ArrayList<>();
    private final Counters counters = new Counters("one");

    private List<String> poll(EventSource source) {
        events.clear();
        int count = source.poll(new Moment(5, 0), event -> {
            events.add(event);
            if (event.raw() instanceof Raw.Marked marked) {
                counters.mark(marked.name(), marked.mark());
            }
        });
        assertThat(events).hasSize(count);
        return events.stream().map(HardwareEvent::line).toList();
    }

    @Test
    void shouldReadTheLayoutOfModulesAndOnlyWhatTheirCountersGrewBy() {
        Tree tree = new Tree(root)
                .file(MC + "ce_noinfo_count", "0")
                .file(MC + "dimm3/size", "32768")
                .file(MC + "dimm3/dimm_label", "CPU_SrcID#1_MC#0_Chan#1_DIMM#0")
                .file(MC + "dimm3/dimm_location", "channel 1 slot 0 ")
                .file(MC + "dimm3/dimm_ce_count", "7")
                .file(MC + "dimm3/dimm_ue_count", "0")
                .file(MC + "dimm4/size", "0")
                .file(MC + "csrow0/ch1_ce_count", "7");
        EdacSource edac = new EdacSource(tree.sysfs(), counters);
        assertThat(poll(edac)).as("what was before the start is no news").isEmpty();
        assertThat(edac.layout()).singleElement().satisfies(m -> assertThat(m.words())
                .isEqualTo("DIMM CPU1 controller 0 channel 1 slot 0, 32 GiB"));
        tree.file(MC + "dimm3/dimm_ce_count", "12").file(MC + "csrow0/ch1_ce_count", "12");
        assertThat(poll(edac))
                .as("both layouts count the same errors")
                .containsExactly(
                        "corrected error on DIMM CPU1 controller 0 channel 1 slot 0, 32 GiB, 5 times: memory errors"
                                + " counted by the memory controller (edac-counters)");
        tree.file(MC + "dimm3/dimm_ce_count", "2").file(MC + "dimm3/dimm_ue_count", "1");
        poll(edac);
        assertThat(events)
                .extracting(HardwareEvent::count)
                .as("a counter that began anew")
                .containsExactly(2L, 1L);
        assertThat(events)
                .extracting(HardwareEvent::severity)
                .containsExactly(Severity.CORRECTED, Severity.RECOVERABLE);
        assertThat(edac.state()).isEqualTo(SourceState.present("1 controllers, 1 modules", 3));
    }

    @Test
    void shouldReadTheOldLayoutWhereItStandsAlone() {
        Tree tree = new Tree(root)
                .file(MC + "csrow2/ch1_ce_count", "0")
                .file(MC + "csrow2/ch1_dimm_label", "mc#0csrow#2channel#1")
                .file(MC + "csrow2/ue_count", "0")
                .file(MC + "ce_noinfo_count", "");
        EdacSource edac = new EdacSource(tree.sysfs(), counters);
        poll(edac);
        tree.file(MC + "csrow2/ch1_ce_count", "1")
                .file(MC + "csrow2/ue_count", "2")
                .file(MC + "ce_noinfo_count", "3");
        assertThat(poll(edac))
                .containsExactly(
                        "corrected error on DIMM controller 0 channel 1 slot 1, rank 0: memory errors counted by the memory"
                                + " controller (edac-counters)",
                        "uncorrected error on memory of controller 0 slot 1, rank 0, 2 times: uncorrected memory errors counted by the"
                                + " memory controller (edac-counters)");
    }

    @Test
    void shouldTellWhatPcieCountersGrewBy() {
        String device = "bus/pci/devices/0000:3b:00.1/";
        Tree tree = new Tree(root).file(device + "aer_dev_correctable", "RxErr 4\nBadTLP 0\nTOTAL_ERR_COR 4");
        AerCounterSource aer = new AerCounterSource(tree.sysfs(), counters);
        assertThat(poll(aer)).isEmpty();
        tree.file(device + "aer_dev_correctable", "RxErr 6\nBadTLP 0\nTOTAL_ERR_COR 6");
        assertThat(poll(aer))
                .containsExactly(
                        "corrected error on PCIe device 0000:3b:00.1, 2 times: PCIe errors counted by the kernel"
                                + " (aer-counters)");
        assertThat(aer.state().detail()).isEqualTo("1 functions");
    }

    @Test
    void shouldTellWhatPcieCountersGrewByWhileNoAgentLooked() {
        String device = "bus/pci/devices/0000:3b:00.1/";
        Tree tree = new Tree(root).file(device + "aer_dev_correctable", "TOTAL_ERR_COR 4");
        poll(new AerCounterSource(tree.sysfs(), counters));
        Counters next = new Counters("one");
        next.restore(counters.settled());
        tree.file(device + "aer_dev_correctable", "TOTAL_ERR_COR 6")
                .file(device + "aer_dev_fatal", "TOTAL_ERR_FATAL 1");
        AerCounterSource aer = new AerCounterSource(tree.sysfs(), next);
        assertThat(poll(aer))
                .as("a counter that nobody knew before has its start here")
                .containsExactly(
                        "corrected error on PCIe device 0000:3b:00.1, 2 times: PCIe errors counted by the kernel while no"
                                + " agent looked (aer-counters)");
        tree.file(device + "aer_dev_correctable", "TOTAL_ERR_COR 7");
        assertThat(poll(aer))
                .containsExactly("corrected error on PCIe device 0000:3b:00.1: PCIe errors counted by the kernel"
                        + " (aer-counters)");
    }

    @Test
    void shouldCountPagesWithLostDataOnce() {
        Tree tree = new Tree(root)
                .file("meminfo", "MemTotal: 1 kB\nHardwareCorrupted:     0 kB")
                .file("devices/system/node/node1/memory_failure/total", "0");
        PoisonedMemorySource source = new PoisonedMemorySource(tree.sysfs(), tree.sysfs(), counters);
        poll(source);
        tree.file("meminfo", "HardwareCorrupted:     8 kB").file("devices/system/node/node1/memory_failure/total", "2");
        assertThat(poll(source))
                .containsExactly("uncorrected error on a DIMM, 2 times: pages with lost data (poisoned-memory)");
        assertThat(events.get(0).raw().words()).isEqualTo("node 1");
    }

    @Test
    void shouldTellOnceWhatPagesWereLostWhileNoAgentLooked() {
        String total = "devices/system/node/node0/memory_failure/total";
        Tree tree = new Tree(root).file("meminfo", "HardwareCorrupted: 4 kB").file(total, "1");
        poll(new PoisonedMemorySource(tree.sysfs(), tree.sysfs(), counters));
        Counters next = new Counters("one");
        next.restore(counters.settled());
        tree.file("meminfo", "HardwareCorrupted: 12 kB").file(total, "3");
        PoisonedMemorySource source = new PoisonedMemorySource(tree.sysfs(), tree.sysfs(), next);
        assertThat(poll(source))
                .containsExactly("uncorrected error on a DIMM, 2 times: pages with lost data while no agent looked"
                        + " (poisoned-memory)");
        next.settle((Raw.Counter) events.get(0).raw());
        assertThat(poll(source)).isEmpty();
        Counters last = new Counters("one");
        last.restore(next.settled());
        assertThat(poll(new PoisonedMemorySource(tree.sysfs(), tree.sysfs(), last)))
                .isEmpty();
    }

    /** {@code mm/memory-failure.c}, unpoison_memory: what is no longer poisoned is taken off the number again. */
    @Test
    void shouldTakeNoPageThatIsWholeAgainForALostOne() {
        Tree tree = new Tree(root).file("meminfo", "HardwareCorrupted: 12 kB");
        PoisonedMemorySource source = new PoisonedMemorySource(tree.sysfs(), tree.sysfs(), counters);
        poll(source);
        tree.file("meminfo", "HardwareCorrupted: 4 kB");
        assertThat(poll(source)).isEmpty();
        assertThat(counters.settled()).containsValue(1L);
        tree.file("meminfo", "HardwareCorrupted: 8 kB");
        assertThat(poll(source)).containsExactly("uncorrected error on a DIMM: pages with lost data (poisoned-memory)");
    }

    @Test
    void shouldTellOfAMachineCheckOfAnEarlierLifeOnce() throws IOException {
        ByteBuffer record = ByteBuffer.allocate(128).order(ByteOrder.LITTLE_ENDIAN);
        record.putLong(0, 0xbf80000000000145L)
                .putLong(24, 5)
                .putLong(48, 1_600_000_000L)
                .putInt(60, 0x50654);
        record.put(65, (byte) 9).putInt(68, 1).putLong(80, 0x1000c0aL);
        Files.write(root.resolve("mce-erst-17"), record.array());
        Files.write(root.resolve("mce-erst-18"), new byte[10]);
        Files.write(root.resolve("dmesg-erst-19"), new byte[10]);
        PstoreSource source = new PstoreSource(new Sysfs(root), counters);
        assertThat(poll(source))
                .containsExactly(
                        "fatal error on CPU 1 (socket 0) at address 0x0: level-1 data cache error on a data write, which ended an"
                                + " earlier life of this host (pstore)");
        assertThat(events.get(0).wallMs()).isEqualTo(1_600_000_000_000L);
        assertThat(poll(source)).isEmpty();
        Counters next = new Counters("another life");
        next.restoreMarks(counters.marks());
        assertThat(poll(new PstoreSource(new Sysfs(root), next))).isEmpty();
        Files.delete(root.resolve("mce-erst-17"));
        Files.write(root.resolve("mce-erst-20"), record.array());
        PstoreSource third = new PstoreSource(new Sysfs(root), next);
        assertThat(poll(third)).hasSize(1);
        // It is marked by whoever takes the event, with what it does: until then it is told again.
        assertThat(next.marks()).isEmpty();
        assertThat(poll(third)).hasSize(1);
    }

    @Test
    void shouldTellOfLostNetworkPorts() {
        String up = "Bonding Mode: active-backup\nMII Status: up\n\nSlave Interface: eth0\nMII Status: up\n\n"
                + "Slave Interface: eth1\nMII Status: ";
        Tree tree = new Tree(root).file("net/bonding/bond0", up + "up");
        BondingSource source = new BondingSource(tree.sysfs(), counters);
        assertThat(poll(source)).isEmpty();
        tree.file("net/bonding/bond0", up + "down");
        assertThat(poll(source))
                .containsExactly(
                        "notice on network interface bond0: 1 of 2 network ports have a link, before: 2 (bonding)");
        assertThat(events.get(0).kind()).isEqualTo(EventKind.REDUNDANCY_LOST);
        tree.file("net/bonding/bond0", up + "up");
        poll(source);
        assertThat(events.get(0).kind()).isEqualTo(EventKind.REDUNDANCY_RESTORED);
    }

    @Test
    void shouldTellOfNetworkPortsThatCameBackWhileNoAgentLooked() {
        String up = "Slave Interface: eth0\nMII Status: up\n\nSlave Interface: eth1\nMII Status: ";
        Tree tree = new Tree(root).file("net/bonding/bond0", up + "down");
        assertThat(poll(new BondingSource(tree.sysfs(), counters))).hasSize(1);
        // As whoever takes the event does.
        Raw.Marked told = (Raw.Marked) events.get(0).raw();
        counters.mark(told.name(), told.mark());
        Counters next = new Counters("another life");
        next.restoreMarks(counters.marks());
        assertThat(poll(new BondingSource(tree.sysfs(), next)))
                .as("told by the agent before")
                .isEmpty();
        tree.file("net/bonding/bond0", up + "up");
        Counters later = new Counters("another life");
        later.restoreMarks(counters.marks());
        assertThat(poll(new BondingSource(tree.sysfs(), later))).hasSize(1);
        assertThat(events.get(0).kind()).isEqualTo(EventKind.REDUNDANCY_RESTORED);
    }

    @Test
    void shouldBeAbsentWithoutHarmOnAnEmptyHost() {
        Sysfs empty = new Sysfs(root.resolve("nothing"));
        List<EventSource> sources = List.of(
                new EdacSource(empty, counters),
                new AerCounterSource(empty, counters),
                new PoisonedMemorySource(empty, empty, counters),
                new PstoreSource(empty, counters),
                new BondingSource(empty, counters));
        for (EventSource source : sources) {
            assertThat(poll(source)).isEmpty();
            assertThat(source.state().status()).as(source.name()).isEqualTo(Status.ABSENT);
        }
    }

    @Test
    void shouldNameWhatHidesOrDelaysEvents() {
        Tree tree = new Tree(root)
                .file(MCE + "ignore_ce", "1")
                .file(MCE + "dont_log_ce", "0")
                .file(MCE + "cmci_disabled", "1")
                .file("cmdline", "quiet mce=no_cmci")
                .file("kernel/debug/ras/cec/action_threshold", "2")
                .file("instances/rasdaemon/per_cpu/cpu0/stats", "entries: 3\noverrun: 0");
        tree.file(MCE + "check_interval", "300");
        assertThat(MachineCheckSettings.look(tree.sysfs(), tree.sysfs(), tree.sysfs()))
                .extracting(MachineCheckSettings.Hindrance::detail)
                .containsExactly(
                        "ignore_ce is 1: corrected errors are not looked for",
                        "cmci_disabled is 1: a corrected error shows up to 300 s late",
                        "the kernel was booted with mce=no_cmci",
                        "the kernel's corrected errors collector is on: it keeps memory errors from EDAC, not from us",
                        "rasdaemon has 3 events that it has not read: it waits for its ring to fill");
        Sysfs empty = new Sysfs(root.resolve("nothing"));
        assertThat(MachineCheckSettings.look(empty, empty, empty))
                .extracting(MachineCheckSettings.Hindrance::name)
                .containsExactly("machine-check");
    }

    /** Tables as ACPI 6.4, 18.3.2 lays them out: a machine check of two banks, PCI Express, then corrected machine checks. */
    @Test
    void shouldNameAFirmwareThatTakesMachineChecksFirst() throws IOException {
        ByteBuffer table = ByteBuffer.allocate(40 + 40 + 2 * 28 + 48 + 48 + 28).order(ByteOrder.LITTLE_ENDIAN);
        table.putInt(36, 3).putShort(40, (short) 0).put(72, (byte) 2);
        table.putShort(136, (short) 6).put(142, (byte) 1);
        table.putShort(184, (short) 1).put(228, (byte) 1);
        assertThat(HestTable.firmwareFirst(table.array())).isFalse();
        table.put(190, (byte) 1);
        assertThat(HestTable.firmwareFirst(table.array())).isTrue();
        Path home = Files.createDirectories(root.resolve("firmware/acpi/tables"));
        Files.write(home.resolve("HEST"), table.array());
        Tree tree = new Tree(root).file(MCE + "check_interval", "300");
        assertThat(MachineCheckSettings.look(tree.sysfs(), tree.sysfs(), tree.sysfs()))
                .extracting(MachineCheckSettings.Hindrance::name)
                .containsExactly("firmware-first");
        SplittableRandom random = new SplittableRandom(1);
        for (int i = 0; i < 100_000; i++) {
            byte[] bytes = new byte[random.nextInt(200)];
            random.nextBytes(bytes);
            HestTable.firmwareFirst(bytes);
        }
        assertThat(HestTable.firmwareFirst(new byte[0])).isFalse();
    }

    /** {@code drivers/edac/amd64_edac.c}, per_csrow_misc_show: rank directories, two chip selects to a module. */
    @Test
    void shouldShowTwoRanksOfAmdAsOneModule() {
        Tree tree = new Tree(root);
        for (int select = 0; select < 4; select++) {
            tree.file(MC + "rank" + select + "/size", "16384")
                    .file(MC + "rank" + select + "/dimm_label", "mc#0csrow#" + select + "channel#1")
                    .file(MC + "rank" + select + "/dimm_location", "csrow " + select + " channel 1 ")
                    .file(MC + "rank" + select + "/dimm_ce_count", "0");
        }
        EdacSource edac = new EdacSource(tree.sysfs(), counters);
        poll(edac);
        assertThat(edac.layout())
                .extracting(Component.Memory::words)
                .containsExactly(
                        "DIMM controller 0 channel 1 slot 0, 32 GiB", "DIMM controller 0 channel 1 slot 1, 32 GiB");
        tree.file(MC + "rank3/dimm_ce_count", "2");
        assertThat(poll(edac))
                .containsExactly("corrected error on DIMM controller 0 channel 1 slot 1, rank 1, 2 times: memory errors"
                        + " counted by the memory controller (edac-counters)");
    }

    @Test
    void shouldReadNumbersAsTheKernelWritesThem() {
        Tree tree = new Tree(root)
                .file("a", "0x1f")
                .file("b", "010")
                .file("c", "-3")
                .file("d", "x")
                .file("e", "");
        Sysfs sysfs = tree.sysfs();
        assertThat(sysfs.number("a", 9)).isEqualTo(31);
        assertThat(sysfs.number("b", 9)).isEqualTo(10);
        assertThat(sysfs.number("c", 9)).isEqualTo(-3);
        assertThat(sysfs.number("d", 9)).isEqualTo(9);
        assertThat(sysfs.number("e", 9)).isEqualTo(9);
        assertThat(sysfs.number("f", 9)).isEqualTo(9);
    }
}
