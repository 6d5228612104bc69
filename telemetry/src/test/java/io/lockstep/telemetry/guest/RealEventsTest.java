package io.lockstep.telemetry.guest;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.lockstep.telemetry.event.EventKind;
import io.lockstep.telemetry.event.Severity;
import io.lockstep.telemetry.trace.Delays;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.MethodOrderer;
import org.junit.jupiter.api.Order;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.TestMethodOrder;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * Real events of a real kernel on an Intel server processor (Skylake): what comes out is what was put in. One guest serves all tests, in order:
 * the last ones look back at the others, and end the guest's life.
 */
@Tag("system")
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
@TestMethodOrder(MethodOrderer.OrderAnnotation.class)
@Timeout(300)
class RealEventsTest {
    private static final int PAGES = 16;
    private static final int BURST = 200;
    private static final long BURST_AT = 0x1000_0000L;

    /** Read right before a kill, and told again by the next life if the one before did not keep it. */
    private static final long KILLED_AT = 0x2800_0000L;

    private static final String ERRORS = "errors\t";

    private final Map<Long, Long> told = new HashMap<>();
    private Iterator<Long> pages = List.<Long>of().iterator();
    private Path directory = Path.of("");
    private GuestImage image = new GuestImage(directory, directory);
    private HardwareGuest guest;

    @BeforeAll
    void boot(@TempDir Path directory) throws Exception {
        this.directory = directory;
        image = GuestImage.make(directory, Map.of());
        Files.write(directory.resolve("hest"), Firmware.table());
        Files.write(directory.resolve("block"), Firmware.addressPage());
        String at = "0x" + Long.toHexString(Firmware.BASE);
        guest = HardwareGuest.start(
                directory.resolve("vm"),
                image,
                "memmap=64K$" + at,
                List.of(
                        "-cpu",
                        "Skylake-Server,-hle,-rtm",
                        "-acpitable",
                        "file=" + directory.resolve("hest"),
                        "-device",
                        "loader,force-raw=on,file=" + directory.resolve("block") + ",addr=" + at,
                        "-device",
                        "pcie-root-port,id=rp0",
                        "-device",
                        "ipmi-bmc-sim,id=bmc0",
                        "-device",
                        "isa-ipmi-kcs,bmc=bmc0",
                        "-object",
                        "memory-backend-file,id=erst,size=64K,share=on,mem-path=" + directory.resolve("erst"),
                        "-device",
                        "acpi-erst,memdev=erst"));
        guest.awaitUp();
        guest.startWatch();
        pages = guest.pages(PAGES).iterator();
    }

    @AfterAll
    void stop() throws Exception {
        if (guest != null) {
            guest.close();
        }
    }

    /** Waits for what was told of one fault first, and expects it to be the only one. */
    private Seen one(long address, Predicate<Seen> wanted) throws Exception {
        told.merge(address >>> 12, 1L, Long::sum);
        return guest.await(
                Long.toHexString(address), event -> event.address() >>> 12 == address >>> 12 && wanted.test(event));
    }

    /**
     * Waits until as many corrected errors are in the parts' accounts as were told: an account is said after the event. A life that began after a
     * kill told once more what the one before had read and not kept; it is counted once.
     */
    private void awaitCounted() {
        await().atMost(Duration.ofSeconds(30)).untilAsserted(() -> {
            Map<String, Long> toldOnce = new HashMap<>();
            guest.seen().stream()
                    .filter(event -> !event.refined()
                            && event.severity() == Severity.CORRECTED
                            && !event.kind().immediate())
                    .forEach(event ->
                            toldOnce.put(event.kind() + " " + event.address() + " " + event.raw(), event.count()));
            assertThat(corrected())
                    .isEqualTo(toldOnce.values().stream()
                            .mapToLong(Long::longValue)
                            .sum());
        });
    }

    /** Errors that were corrected, of all parts, as the watch last said. */
    private long corrected() {
        return guest.said().stream()
                .filter(line -> line.startsWith(ERRORS))
                .mapToLong(line -> Long.parseLong(line.substring(ERRORS.length())))
                .reduce((earlier, last) -> last)
                .orElseThrow();
    }

    private static String hex(long number) {
        return "0x" + Long.toHexString(number);
    }

    @Test
    @Order(1)
    void shouldSeeACorrectedMachineCheck() throws Exception {
        guest.monitor("mce 0 5 0x9c00000000000151 0 0x12345000 0x8c");
        Seen seen = guest.await("corrected", event -> event.raw().contains("0x9c00000000000151"));
        assertThat(seen.severity()).isEqualTo(Severity.CORRECTED);
        assertThat(seen.kind()).isEqualTo(EventKind.CACHE);
        assertThat(seen.component()).isEqualTo("CPU 0 (socket 0)");
    }

    @Test
    @Order(2)
    void shouldSeeThatMemoryFailedOverToItsMirrorAndWasRepairedFromIt() throws Exception {
        guest.monitor("mce 0 7 0x8800000000000080 0 0 0x8000000000000000");
        Seen failover = guest.await("failover", event -> event.kind() == EventKind.MIRROR_FAILOVER);
        assertThat(failover.severity()).isEqualTo(Severity.CORRECTED);
        assertThat(failover.raw()).contains("bank 7 status 0x8800000000000080 misc 0x8000000000000000");
        guest.monitor("mce 1 8 0x8800000000000081 0 0 0x4000000000000000");
        Seen scrubbed = guest.await("scrub", event -> event.kind() == EventKind.MIRROR_SCRUBBED);
        assertThat(scrubbed.severity()).isEqualTo(Severity.CORRECTED);
        assertThat(scrubbed.raw()).contains("bank 8 status 0x8800000000000081 misc 0x4000000000000000");
        assertThat(scrubbed.component()).startsWith("memory of CPU0");
    }

    @Test
    @Order(3)
    void shouldSeeAnUncorrectedErrorThatThePatrolScrubberFoundAsOneFault() throws Exception {
        long address = pages.next();
        guest.monitor("mce 1 9 0xbd000000000000c0 0xd " + hex(address) + " 0x8c");
        Seen seen = one(address, event -> event.kind() == EventKind.MEMORY_SCRUB);
        assertThat(seen.severity()).isEqualTo(Severity.ACTION_OPTIONAL);
        assertThat(seen.raw()).contains("bank 9 status 0xbd000000000000c0 misc 0x8c addr " + hex(address));
    }

    /** How a part fared when that was last said; empty if it never was. */
    private String lastState(String component) {
        return guest.said().stream()
                .map(line -> line.split("\t", -1))
                .filter(words -> words[0].equals("health") && words[2].equals(component))
                .reduce("", (before, words) -> words[1], (before, after) -> after);
    }

    @Test
    @Order(4)
    void shouldSeeWhatFirmwareReports() throws Exception {
        long corrected = pages.next();
        guest.firmware(Firmware.memory(Firmware.SINGLE_BIT, corrected, true, "DIMM_A1"));
        Seen first = one(corrected, event -> event.kind() == EventKind.MEMORY_ERROR);
        assertThat(first.severity()).isEqualTo(Severity.CORRECTED);
        assertThat(first.component()).contains("DIMM_A1", "rank 0", "bank 3", "row 0x1234", "column 0x56");

        long lost = pages.next();
        guest.firmware(Firmware.memory(Firmware.MULTI_BIT, lost, false, "DIMM_B1"));
        Seen second = one(lost, event -> event.component().contains("DIMM_B1"));
        assertThat(second.severity().uncorrected()).isTrue();
        // One part fails, by its name: neither the page nor a DIMM that nobody knows does so beside it.
        guest.awaitSaid(line -> line.startsWith("health\tFAIL") && line.contains("DIMM_B1"));
        String page = String.format("memory at physical address 0x%x (4096 bytes)", lost);
        await().atMost(Duration.ofSeconds(30))
                .until(() -> !lastState(page).startsWith("FAIL")
                        && !lastState("a DIMM").startsWith("FAIL"));

        long spare = pages.next();
        guest.firmware(Firmware.memory(Firmware.SPARING, spare, true, "DIMM_A2"));
        Seen third = one(spare, event -> event.kind() == EventKind.MEMORY_SPARE);
        assertThat(third.component()).contains("DIMM_A2");

        long mirror = pages.next();
        guest.firmware(Firmware.memory(Firmware.MIRROR_BROKEN, mirror, true, "DIMM_C1"));
        Seen fourth = one(mirror, event -> event.kind() == EventKind.MIRROR_BROKEN);
        assertThat(fourth.component()).contains("DIMM_C1");
        guest.awaitSaid(line -> line.startsWith("health\tFAILING\t") && line.contains("DIMM_C1"));
    }

    @Test
    @Order(5)
    void shouldSeeAVendorsOwnRecord() throws Exception {
        byte[] content = new byte[32];
        for (int i = 0; i < content.length; i++) {
            content[i] = (byte) i;
        }
        guest.firmware(Firmware.vendor("deadbeef-0001-0002-0003-000000000004", content, "VENDOR"));
        Seen seen = guest.await("vendor", event -> event.kind() == EventKind.VENDOR);
        assertThat(seen.component()).isEqualTo("VENDOR");
        assertThat(seen.severity()).isEqualTo(Severity.CORRECTED);
        assertThat(seen.raw()).contains("000102030405");
    }

    @Test
    @Order(6)
    void shouldSeePagesThatTheKernelTakesOutOfUse() throws Exception {
        long own = Long.parseLong(guest.shell("page poison"), 16);
        Seen seen = one(own, event -> event.kind() == EventKind.PAGE_FAILED);
        assertThat(seen.severity()).isEqualTo(Severity.ACTION_OPTIONAL);
        long others = pages.next();
        guest.shell("echo " + hex(others >>> 12) + " >/sys/kernel/debug/hwpoison/corrupt-pfn");
        assertThat(one(others, event -> event.kind() == EventKind.PAGE_FAILED).line())
                .contains("page with lost data");
    }

    @Test
    @Order(7)
    void shouldSeePcieErrors() throws Exception {
        guest.monitor("pcie_aer_inject_error rp0 0x2000");
        Seen fatal = guest.await("PCIe", e -> e.kind() == EventKind.PCIE && e.severity() == Severity.FATAL);
        assertThat(fatal.line()).isEqualTo("fatal error on PCIe device 0000:00:01.0: PCIe flow control error (aer)");
        guest.injectPcie(0x40);
        Seen corrected = guest.await("PCIe", e -> e.kind() == EventKind.PCIE && e.severity() == Severity.CORRECTED);
        assertThat(corrected.line())
                .isEqualTo("corrected error on PCIe device 0000:00:01.0: PCIe bad transaction packet (aer)");
    }

    @Test
    @Order(8)
    void shouldSeeWhatTheManagementControllerLogs() throws Exception {
        // Add SEL Entry: a system event; sensor type memory, sensor 0x50; event type 6f with its offset, or 0b,
        // redundancy.
        guest.shell("bmc 0a 44 00 00 02 00 00 00 00 20 00 04 0c 50 6f 00 ff ff");
        guest.shell("bmc 0a 44 00 00 02 00 00 00 00 20 00 04 0c 51 6f 01 ff ff");
        guest.shell("bmc 0a 44 00 00 02 00 00 00 00 20 00 04 0c 52 0b 01 ff ff");
        Seen corrected = guest.await("SEL", event -> event.raw().contains("0c506f00"));
        assertThat(corrected.kind()).isEqualTo(EventKind.MEMORY_ERROR);
        assertThat(corrected.severity()).isEqualTo(Severity.CORRECTED);
        Seen lost = guest.await("SEL", event -> event.raw().contains("0c516f01"));
        assertThat(lost.kind()).isEqualTo(EventKind.MEMORY_ERROR);
        assertThat(lost.severity().uncorrected()).isTrue();
        Seen redundancy = guest.await("SEL", event -> event.raw().contains("0c520b01"));
        assertThat(redundancy.kind()).isEqualTo(EventKind.REDUNDANCY_LOST);
    }

    @Test
    @Order(9)
    void shouldSeeABurstWholeAndInOrder() throws Exception {
        guest.shell(
                "cd /sys/kernel/debug/mce-inject; echo sw >flags; echo 0 >cpu;"
                        + " i=0; while [ $i -lt " + BURST + " ]; do printf '0x%x' $((" + BURST_AT
                        + " + i * 4096)) >addr; echo 0x9c00004000010090 >status; echo 0x8c >misc; echo 7 >bank; i=$((i + 1)); done");
        guest.await("the last", event -> event.address() == BURST_AT + (BURST - 1) * 4096L);
        List<Long> expected = new ArrayList<>();
        for (int i = 0; i < BURST; i++) {
            expected.add(BURST_AT + i * 4096L);
        }
        assertThat(guest.seen().stream()
                        .filter(event -> !event.refined() && expected.contains(event.address()))
                        .map(Seen::address))
                .containsExactlyElementsOf(expected);
    }

    @Test
    @Order(10)
    void shouldLoseNothingWhenTheReaderIsKilled() throws Exception {
        guest.inject(0, 7, 0x9c00004000010090L, KILLED_AT, 0x8c);
        guest.await("read and not kept yet", event -> event.address() == KILLED_AT);
        awaitCounted();
        guest.killWatch();
        guest.inject(1, 8, 0x9c00004000010090L, KILLED_AT + 0x1000, 0x8c);
        long spare = pages.next();
        guest.firmware(Firmware.memory(Firmware.SPARING, spare, true, "DIMM_D1"));
        guest.startWatch();
        guest.awaitSaid("state\tFAILED"::equals);
        one(KILLED_AT + 0x1000, event -> true);
        one(spare, event -> event.kind() == EventKind.MEMORY_SPARE);
        guest.inject(0, 7, 0x9c00004000010090L, KILLED_AT + 0x2000, 0x8c);
        one(KILLED_AT + 0x2000, event -> true);
    }

    @Test
    @Order(50)
    void shouldTellEachFaultOnceThoughSeveralSourcesSawIt() {
        Map<Long, Long> counts = new HashMap<>();
        Map<EventKind, Long> others = new HashMap<>();
        for (Seen event : guest.seen()) {
            if (event.refined()) {
                continue;
            }
            if (told.containsKey(event.address() >>> 12)) {
                counts.merge(event.address() >>> 12, event.count(), Long::sum);
            } else if (!event.raw().startsWith("sel ")
                    && event.address() != KILLED_AT
                    && event.address() >>> 28 != BURST_AT >>> 28) {
                others.merge(event.kind(), event.count(), Long::sum);
            }
        }
        assertThat(others)
                .isEqualTo(Map.of(
                        EventKind.MIRROR_FAILOVER,
                        1L,
                        EventKind.MIRROR_SCRUBBED,
                        1L,
                        EventKind.VENDOR,
                        1L,
                        EventKind.PCIE,
                        2L));
        assertThat(counts).isEqualTo(told);
        awaitCounted();
    }

    @Test
    @Order(51)
    void shouldTellHowLongAnEventTakes() {
        long[] delaysNs = guest.said().stream()
                .filter(line -> line.startsWith("delay\t"))
                .mapToLong(line -> Long.parseLong(line.substring("delay\t".length())))
                .toArray();
        assertThat(delaysNs).hasSizeGreaterThan(BURST);
        System.out.println("from a tracepoint to its typed event, in a guest without KVM: " + Delays.words(delaysNs));
    }

    @Test
    @Order(60)
    void shouldFindTheFatalMachineCheckOfTheLifeBefore() throws Exception {
        guest.monitor("mce 1 9 0xbf80000000000145 0xd 0x7654000 0x8c");
        guest.awaitUp();
        guest.startWatch();
        Seen seen = guest.await("fatal", event -> event.source().equals("pstore"));
        assertThat(seen.severity()).isEqualTo(Severity.FATAL);
        assertThat(seen.raw()).contains("bank 9 status 0xbf80000000000145");
        assertThat(seen.line())
                .isEqualTo(
                        "fatal error on CPU 1 (socket 0) at address 0x7654000: level-1 data cache error on a data write, which"
                                + " ended an earlier life of this host (pstore)");
    }

    @Test
    @Order(70)
    void shouldDoNoHarmWhereThereIsNothingAndReadAnAmdProcessorOnceItMay() throws Exception {
        guest.close();
        guest = HardwareGuest.start(directory.resolve("amd"), image, "bare", List.of("-cpu", "EPYC"));
        guest.awaitUp();
        guest.startWatch();
        guest.awaitSaid(line -> line.startsWith("source\tbonding\tABSENT\t0\t0\tno "));
        List<String> said = guest.said();
        assertThat(said).anyMatch(line -> line.startsWith("source\ttrace\tABSENT\t"));
        for (String source : List.of("edac", "aer-counters", "pstore", "bonding", "ipmi-sel")) {
            assertThat(said).anyMatch(line -> line.startsWith("source\t" + source + "\tABSENT\t"));
        }
        assertThat(said).anyMatch(line -> line.startsWith("source\tkmsg\tPRESENT\t"));
        assertThat(guest.seen()).isEmpty();
        guest.killWatch();
        guest.shell(
                "mount -t tracefs tracing /sys/kernel/tracing; mount -t debugfs debug /sys/kernel/debug; insmod /mod/mce-inject.ko;"
                        + " echo 1 >/sys/devices/system/machinecheck/machinecheck0/check_interval");
        guest.startWatch();

        guest.monitor("mce 1 2 0x9c00000000000151 0 0x5432000 0");
        Seen polled = guest.await("AMD", event -> event.raw().contains("bank 2 status 0x9c00000000000151"));
        assertThat(polled.severity()).isEqualTo(Severity.CORRECTED);
        guest.inject(0, 4, 0x9c0040000000011bL, 0x6000, 0);
        Seen corrected = guest.await("corrected", event -> event.raw().contains("status 0x9c0040000000011b"));
        assertThat(corrected.severity()).isEqualTo(Severity.CORRECTED);
        guest.inject(0, 4, 0x9c0010000000011bL, 0x7000, 0);
        Seen deferred = guest.await("deferred", event -> event.raw().contains("status 0x9c0010000000011b"));
        assertThat(deferred.severity()).isEqualTo(Severity.DEFERRED);
        guest.inject(1, 0, 0xbc00080000000135L, 0x8000, 0);
        Seen poison = guest.await("poison", event -> event.raw().contains("status 0xbc00080000000135"));
        assertThat(poison.kind()).isEqualTo(EventKind.POISON);
        assertThat(poison.severity().uncorrected()).isTrue();
    }
}
