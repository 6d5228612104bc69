package io.lockstep.telemetry.replay;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.lockstep.telemetry.event.EventKind;
import io.lockstep.telemetry.event.HardwareEvent;
import io.lockstep.telemetry.event.Severity;
import io.lockstep.telemetry.fault.MemoryIdentity;
import io.lockstep.telemetry.health.ComponentHealth;
import io.lockstep.telemetry.health.HealthRules;
import io.lockstep.telemetry.health.HealthState;
import io.lockstep.telemetry.replay.ReplayResult.Malformed;
import io.lockstep.telemetry.replay.ReplayResult.Seen;
import io.lockstep.telemetry.replay.ReplayResult.Step;
import io.lockstep.telemetry.source.Moment;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ReplayTest {
    private static final long START_MS = Instant.parse("2026-01-02T03:04:05Z").toEpochMilli();
    private static final String FAILOVER =
            "corrected error on memory of CPU0 controller 0 channel 0: memory failed over to its mirror (mce)";

    @TempDir
    Path directory;

    private Path file(byte[] content) throws IOException {
        Path file = directory.resolve("recording");
        Files.write(file, content);
        Files.setLastModifiedTime(file, FileTime.fromMillis(START_MS));
        return file;
    }

    private ReplayResult replay(byte[] content) throws IOException {
        return Replay.run(file(content), HealthRules.DEFAULT, MemoryIdentity.NONE, step -> {});
    }

    private ReplayResult replay(String... lines) throws IOException {
        return replay(String.join("\n", lines).getBytes(StandardCharsets.UTF_8));
    }

    private static List<HardwareEvent> events(ReplayResult result) {
        return result.steps().stream()
                .filter(Seen.class::isInstance)
                .map(step -> ((Seen) step).event())
                .toList();
    }

    private static List<String> lines(ReplayResult result) {
        return events(result).stream().map(HardwareEvent::line).toList();
    }

    /** A {@code struct mce} as {@code arch/x86/include/uapi/asm/mce.h} of Linux 6.1 lays it out. */
    private static byte[] record(long status, long misc, long addr, long mcgStatus, long seconds, int cpuid, int bank) {
        ByteBuffer bytes = ByteBuffer.allocate(128).order(ByteOrder.LITTLE_ENDIAN);
        bytes.putLong(0, status).putLong(8, misc).putLong(16, addr).putLong(24, mcgStatus);
        bytes.putLong(48, seconds).putInt(60, cpuid).put(65, (byte) bank);
        return bytes.array();
    }

    @Test
    void shouldReadRawMachineChecksOneAfterAnother() throws IOException {
        ByteBuffer all = ByteBuffer.allocate(3 * 128 + 60);
        all.put(record(0x8800_0000_0000_0080L, 1L << 63, 0, 0, START_MS / 1000, 0x50654, 7));
        all.put(record(0, 0, 0, 0, START_MS / 1000, 0x50654, 3));
        all.put(record(0xbd00_0000_0000_00c0L, 0x8c, 0x7000000, 0xd, START_MS / 1000 + 60, 0x50654, 9));
        ReplayResult result = replay(all.array());
        assertThat(result.format()).isEqualTo(RecordingFormat.MCE_RECORDS);
        assertThat(lines(result))
                .containsExactly(
                        FAILOVER,
                        "uncorrected error, action optional on memory of CPU0 at address 0x7000000: memory"
                                + " scrub error (mce)");
        assertThat(result.malformed())
                .containsExactly(
                        new Malformed(2, "status 0x0 is not valid: bit 63 is 0"),
                        new Malformed(4, "the record has 60 bytes < 128"));
        assertThat(result.steps()).extracting(Step::wallMs).startsWith(START_MS).endsWith(START_MS + 60_000);
        assertThat(result.worst()).isEqualTo(HealthState.FAILING);
        assertThat(result.health())
                .extracting(ComponentHealth::action)
                .containsExactly(
                        "Move the VMs away; replace memory of CPU0.",
                        "Move the VMs away; replace memory of CPU0 controller 0 channel 0.");
    }

    @Test
    void shouldReadTheKernelsLogWithEveryKindOfTime() throws IOException {
        String[] group = {
            "mce: [Hardware Error]: Machine check events logged",
            "mce: [Hardware Error]: CPU 0: Machine Check: 0 Bank 7: 8800000000000080",
            "mce: [Hardware Error]: TSC 0 MISC 8000000000000000 ",
            "mce: [Hardware Error]: PROCESSOR 0:50654 TIME 1767323045 SOCKET 0 APIC 0 microcode 1"
        };
        String[] stamps = {
            "[   12.345678] ",
            "[   12.345678][    C0] ",
            "[   12.345678] [  T123] ",
            "<0>[   12.345678] ",
            "kern  :emerg : [   12.345678] ",
            "3,1234,12345678,-;",
            "[Fri Jan  2 03:04:05 2026] ",
            "2026-01-02T03:04:05,123456+00:00 ",
            "2026-01-02T04:04:05+0100 host kernel: ",
            "Jan  2 03:04:05 host kernel: ",
            "Jan  2 03:04:05 host kernel: [   12.345678] ",
            ""
        };
        for (String stamp : stamps) {
            StringBuilder log = new StringBuilder(stamp).append("usb 1-1: new high-speed USB device\n");
            for (String line : group) {
                log.append(stamp).append(line).append('\n');
            }
            ReplayResult result = replay(log.toString());
            assertThat(lines(result)).as(stamp).containsExactly(FAILOVER);
            assertThat(result.format()).as(stamp).isEqualTo(RecordingFormat.KERNEL_LOG);
            boolean sinceBoot = stamp.contains("12") && !stamp.contains("2026") && !stamp.contains("Jan");
            assertThat(result.timesSinceBoot()).as(stamp).isEqualTo(sinceBoot);
            assertThat(events(result).get(0).wallMs())
                    .as(stamp)
                    .isEqualTo(sinceBoot ? 12_345 : stamp.contains(",123") ? START_MS + 123 : START_MS);
            assertThat(result.malformed()).as(stamp).isEmpty();
        }
    }

    @Test
    void shouldSeeFirmwaresRecordsInALog() throws IOException {
        String[] record = {
            "{1}[Hardware Error]: Hardware error from APEI Generic Hardware Error Source: 1",
            "{1}[Hardware Error]: It has been corrected by h/w and requires no further action",
            "{1}[Hardware Error]: event severity: corrected",
            "{1}[Hardware Error]:  Error 0, type: corrected",
            "{1}[Hardware Error]:  fru_text: DIMM_A1",
            "{1}[Hardware Error]:   section_type: memory error",
            "{1}[Hardware Error]:   error_type: 11, mirror Broken",
            "EXT4-fs (sda1): mounted"
        };
        String line = "corrected error on DIMM DIMM_A1: mirrored memory lost its mirror (ghes)";
        assertThat(lines(replay(record))).containsExactly(line);
        assertThat(lines(replay("[    1.000000] " + String.join("\n[    1.000000] ", record))))
                .containsExactly(line);
        // The boot error record table tells of the life before, without a number.
        assertThat(lines(replay(
                        "[    1.0] x",
                        "[    1.001] BERT: Error records from previous boot:",
                        "[    1.002] [Hardware Error]: event severity: fatal",
                        "[    1.003] [Hardware Error]:  Error 0, type: fatal",
                        "[    1.004] [Hardware Error]:   section_type: memory error",
                        "[    1.005] [Hardware Error]:   error_type: 3, multi-bit ECC")))
                .containsExactly("fatal error on a DIMM: multi-bit memory error (ghes)");
    }

    @Test
    void shouldSeeEdacPagesDevicesAndAmdInALogAndCountOneFaultOnce() throws IOException {
        ReplayResult result = replay(
                "[  100.000000] mce: [Hardware Error]: CPU 1: Machine Check: 0 Bank 13: 8c00004000010090",
                "[  100.000001] mce: [Hardware Error]: TSC 0 ADDR 5000040 MISC 8c ",
                "[  100.000002] mce: [Hardware Error]: PROCESSOR 0:50654 TIME 1767323045 SOCKET 0 APIC 0 microcode 1",
                "[  100.000300] EDAC MC0: 1 CE memory read error on CPU_SrcID#0_MC#0_Chan#0_DIMM#0 (channel:0 slot:0"
                        + " page:0x5000 offset:0x40 grain:32 syndrome:0x0 -  err_code:0x0001:0x0090 ProcessorSocketId:0x0"
                        + " MemoryControllerId:0x0 PhysicalRankId:0x1 Row:0x1a2 Column:0x10 Bank:0x1 BankGroup:0x2)",
                "[  200.000000] Memory failure: 0x7000: recovery action for dirty LRU page: Recovered",
                "[  300.000000] pcieport 0000:00:1c.0: AER: Corrected error received: 0000:03:00.0",
                "[  300.000001] pcieport 0000:00:1c.0: PCIe Bus Error: severity=Corrected, type=Physical Layer, (Receiver ID)",
                "[  300.000002] pcieport 0000:00:1c.0:   device [8086:9d14] error status/mask=00000001/00002000",
                "[  400.000000] mce: CPU3: Core temperature is above threshold, cpu clock is throttled (total events = 1)",
                "[  500.000000] [Hardware Error]: Corrected error, no action required.",
                "[  500.000001] [Hardware Error]: CPU:2 (17:31:0) MC17_STATUS[Over|CE|MiscV|AddrV|-|-|SyndV|CECC|-|-|-]:"
                        + " 0xdc2040000000011b",
                "[  500.000002] [Hardware Error]: Error Addr: 0x00000000f0000040",
                "[  500.000003] [Hardware Error]: IPID: 0x0000009600150f00, Syndrome: 0x0000400d0a801601",
                "[  500.000004] [Hardware Error]: Unified Memory Controller Ext. Error Code: 0, DRAM ECC error.");
        assertThat(lines(result))
                .containsExactly(
                        "corrected error on DIMM CPU0 controller 0 channel 0 slot 0, rank 1, bank 9, row 0x1a2, column 0x10"
                                + " at address 0x5000000: memory address parity error (mce)",
                        "uncorrected error, action optional on memory at physical address 0x7000000 (4096 bytes) at"
                                + " address 0x7000000: page with lost data taken out of use (memory-failure)",
                        "corrected error on PCIe device 0000:00:1c.0: PCIe receiver error (aer)",
                        "notice on CPU 3: processor over its thermal limit (kmsg)",
                        "corrected error on DIMM channel 1 slot 0, rank 1: DRAM ECC error in the memory controller (mce)");
        assertThat(result.malformed()).isEmpty();
    }

    @Test
    void shouldReadWhatMcelogWritesAndReads() throws IOException {
        ReplayResult result = replay(
                "Hardware event. This is not a software error.",
                "MCE 0",
                "CPU 0 BANK 7 TSC 3bda8a1bd",
                "MISC 8000000000000000 ",
                "TIME 1767323045 Fri Jan  2 03:04:05 2026",
                "MCG status:",
                "MCi status:",
                "Corrected error",
                "MCi_MISC register valid",
                "MCA: MEMORY CONTROLLER GEN_CHANNEL0_ERR",
                "Transaction: Generic undefined request",
                "STATUS 8800000000000080 MCGSTATUS 0",
                "MCGCAP f000c14 APICID 0 SOCKETID 0 ",
                "MICROCODE 1",
                "CPUID Vendor Intel Family 6 Model 85 Step 4",
                "",
                "CPU 1 BANK 9 STATUS 0xbd000000000000c0 MISC 0x8c ADDR 0x7000000 MCGSTATUS 0xd TIME 1767323105 PROCESSOR"
                        + " 0:50654 SOCKETID 1",
                "CPU 2 BANK 1 STATUS rubbish",
                "CPU 3 BANK 1",
                "ADDR 1000",
                "CPU 4 BANK 1",
                "STATUS 9400000000000134",
                "ADDR 2000");
        assertThat(result.format()).isEqualTo(RecordingFormat.MCELOG);
        assertThat(lines(result))
                .containsExactly(
                        FAILOVER,
                        "uncorrected error, action optional on memory of CPU1 at address 0x7000000: memory"
                                + " scrub error (mce)",
                        "corrected error on CPU 4 at address 0x2000: level-0 data cache error on a data read (mce)");
        assertThat(events(result)).extracting(HardwareEvent::wallMs).startsWith(START_MS, START_MS + 60_000);
        assertThat(result.malformed())
                .containsExactly(
                        new Malformed(18, "STATUS 'rubbish' is not a hexadecimal number of 64 bits"),
                        new Malformed(19, "machine check without a STATUS"));
    }

    /** The memory controller, the cache that read it and the kernel tell of one page: no processor failed. */
    @Test
    void shouldFindTheModuleFailedWhoseLostDataAProcessorRead() throws IOException {
        String head = "[  100.000000] mce: [Hardware Error]: CPU 1: Machine Check";
        String processor =
                "[  100.000002] mce: [Hardware Error]: PROCESSOR 0:606a6 TIME 1767323045 SOCKET 0 APIC 0 microcode 1";
        ReplayResult result = replay(
                head + ": 0 Bank 13: bc00000000a00090",
                "[  100.000001] mce: [Hardware Error]: TSC 0 ADDR 7040 MISC 400000000000086",
                processor,
                head + " Exception: 7 Bank 1: bd80000000000134",
                "[  100.000001] mce: [Hardware Error]: TSC 0 ADDR 7040 MISC 86",
                processor,
                "[  100.000003] Memory failure: 0x7: recovery action for dirty LRU page: Recovered");
        assertThat(result.health())
                .extracting(
                        part -> part.component().words() + " " + part.state().words())
                .containsExactly("DIMM CPU0 controller 0 channel 0 slot 1 failed");
        assertThat(result.eventCount()).isEqualTo(1);
    }

    private static String json(long wallMs, String kind, String severity, String more) {
        return "{\"sequence\":1,\"wallMs\":" + wallMs + ",\"kind\":\"" + kind + "\",\"severity\":\"" + severity + "\""
                + more + "}";
    }

    @Test
    void shouldTellMalformedLinesByNumberAndGoOn() throws IOException {
        ReplayResult result = replay(
                json(START_MS, "mirror_failover", "corrected", ",\"component\":\"DIMM A1\""),
                "{\"kind\":\"no_such\",\"severity\":\"fatal\"}",
                "rubbish",
                "{\"kind\":",
                json(START_MS, "poison", "deferred", ",\"count\":0"),
                json(START_MS, "poison", "deferred", ",\"address\":\"zz\""),
                "{\"status\":\"0x8800000000000080\",\"misc\":\"8000000000000000\",\"bank\":7,\"cpuid\":\"50654\",\"socket\":0}");
        assertThat(lines(result)).containsExactly("corrected error on DIMM A1: mirror failover (recorded)", FAILOVER);
        assertThat(result.malformed()).extracting(Malformed::line).containsExactly(2L, 3L, 4L, 5L, 6L);
        assertThat(result.malformed())
                .extracting(Malformed::cause)
                .contains(
                        "kind 'no_such' is not known",
                        "no JSON: it ends in the middle of a value",
                        "count 0 < 1",
                        "address \"zz\" is not a number");
    }

    /** Numbers that would be others if they were cut to what their fields hold. */
    @Test
    void shouldTakeNoNumberForAnother() throws IOException {
        String status =
                "{\"cpuid\":\"50654\",\"misc\":\"8000000000000000\",\"status\":\"8800000000000080\",\"socket\":0,";
        ReplayResult result = replay(
                status + "\"bank\":\"0x7\"}",
                status + "\"bank\":\"0x10\"}",
                status + "\"bank\":4294967303}",
                status + "\"bank\":-1}",
                status + "\"bank\":7,\"cpu\":4294967296}",
                status + "\"bank\":7,\"time\":9223372036854775807}",
                json(-1, "poison", "deferred", ""),
                json(Long.MAX_VALUE, "poison", "deferred", ""),
                json(START_MS, "memory_error", "corrected", ",\"count\":" + Long.MAX_VALUE),
                "{\"cpuid\":\"a00f11\",\"bank\":0,\"status\":\"9400100000000000\",\"socket\":0}",
                "{\"synd\":\"1\",\"bank\":0,\"status\":\"9400100000000000\",\"socket\":0}");
        assertThat(lines(result))
                .containsExactly(
                        FAILOVER,
                        "deferred error on a CPU (socket 0) at address 0x0: no error (mce)",
                        "deferred error on a CPU (socket 0) at address 0x0: no error (mce)",
                        "corrected error on memory of CPU0 controller 1 channel 1: memory error (mce)");
        assertThat(result.malformed())
                .containsExactly(
                        new Malformed(3, "bank 4294967303 > 255"),
                        new Malformed(4, "bank -1 < 0"),
                        new Malformed(5, "cpu 4294967296 > 2147483647"),
                        new Malformed(6, "time 9223372036854775807 > 4294967295"),
                        new Malformed(7, "wallMs -1 < 0"),
                        new Malformed(8, "wallMs 9223372036854775807 > 4294967295000"),
                        new Malformed(9, "count 9223372036854775807 > 1000000000000"));
        assertThat(replay("CPU 1 BANK 4294967303 STATUS 8800000000000080", "CPU 1 BANK 7 STATUS 0 TIME 999999999999")
                        .malformed())
                .containsExactly(
                        new Malformed(1, "BANK 4294967303 > 255"), new Malformed(2, "TIME 999999999999 > 4294967295"));
    }

    /** Where a host went down, its log often has a block of zeros. */
    @Test
    void shouldReadALogWithZerosInIt() throws IOException {
        String line =
                "Jan  2 03:04:05 host kernel: Memory failure: 0x7000: recovery action for dirty LRU page: Recovered\n";
        ReplayResult result = replay("Jan  2 03:04:04 host kernel: usb 1-1: new high-speed USB device\n".repeat(3)
                + "\0".repeat(300) + "\n" + line);
        assertThat(result.format()).isEqualTo(RecordingFormat.KERNEL_LOG);
        assertThat(lines(result)).hasSize(1);
    }

    @Test
    void shouldNotTakeForTheHostsWhatAGuestDoesToItself() throws IOException {
        ReplayResult result = replay(json(START_MS, "poison", "deferred", ",\"component\":\"virtual machine web1\""));
        assertThat(result.health()).extracting(ComponentHealth::state).containsExactly(HealthState.FAILING);
        assertThat(result.worst()).isEqualTo(HealthState.HEALTHY);
    }

    @Test
    void shouldSlideItsWindowsByTheRecordedTimes() throws IOException {
        String dimm = ",\"component\":\"DIMM CPU0 channel 1 slot 0 (A2)\"";
        StringBuilder slow = new StringBuilder();
        StringBuilder fast = new StringBuilder();
        for (int i = 0; i < 12; i++) {
            slow.append(json(START_MS + i * 14_400_000L, "memory_error", "corrected", dimm))
                    .append('\n');
            fast.append(json(START_MS + i * 3_600_000L, "memory_error", "corrected", dimm))
                    .append('\n');
        }
        assertThat(replay(slow.toString()).worst()).isEqualTo(HealthState.WATCH);
        assertThat(replay(fast.toString()).worst()).isEqualTo(HealthState.DEGRADING);
        ReplayResult calm = replay(
                json(START_MS, "memory_error", "corrected", dimm),
                json(START_MS + 400L * 24 * 3_600_000, "memory_error", "corrected", dimm));
        assertThat(calm.steps())
                .filteredOn(step -> !(step instanceof Seen))
                .extracting(Step::line)
                .containsExactly(
                        "DIMM CPU0 channel 1 slot 0 (A2) is watch, was healthy: corrected error on DIMM CPU0 channel 1"
                                + " slot 0 (A2): memory error (recorded)",
                        "DIMM CPU0 channel 1 slot 0 (A2) is healthy, was watch: calm",
                        "DIMM CPU0 channel 1 slot 0 (A2) is watch, was healthy: corrected error on DIMM CPU0 channel 1"
                                + " slot 0 (A2): memory error (recorded)");
    }

    @Test
    void shouldReadADocumentOnOneLineOrSpreadOverMany() throws IOException {
        String one = json(START_MS, "poison", "deferred", ",\"source\":\"mce\",\"count\":1");
        String line = "deferred error on this host: poison (mce)";
        assertThat(lines(replay("{\"events\":[" + one + "," + one + "]}"))).containsExactly(line, line);
        assertThat(lines(replay("[", one + ",", one, "]"))).containsExactly(line, line);
        assertThat(lines(replay("{\n  \"events\": [\n" + one.replace(",", ",\n    ") + "\n  ]\n}")))
                .containsExactly(line);
    }

    @Test
    void shouldNotCountAgainWhatAnAgentHadMergedAlready() throws IOException {
        String place = ",\"component\":\"DIMM A1\",\"address\":\"0x5000000\"";
        ReplayResult result = replay(
                json(START_MS, "memory_error", "corrected", place + ",\"source\":\"mce\",\"count\":3"),
                json(START_MS + 1, "memory_error", "corrected", place + ",\"source\":\"edac-counters\",\"count\":5"),
                json(START_MS + 2, "mirror_broken", "corrected", place + ",\"source\":\"mce\",\"refined\":true"));
        assertThat(result.eventCount()).isEqualTo(8);
        assertThat(result.worst()).isEqualTo(HealthState.FAILING);
        assertThat(result.health().get(0).corrected()).isEqualTo(8);
        assertThat(result.health().get(0).uncorrected()).isZero();
    }

    /** What the kernel writes of one uncorrected error that the firmware reports, each in its own way. */
    private static final List<List<String>> ONE_FAULT = List.of(
            List.of(
                    "mce: [Hardware Error]: CPU 0: Machine Check: 0 Bank 255: bc0000000000009f",
                    "mce: [Hardware Error]: TSC 0 ADDR 5003000 MISC 8c ",
                    "mce: [Hardware Error]: PROCESSOR 0:50654 TIME 1767323045 SOCKET 0 APIC 0 microcode 1"),
            List.of("EDAC MC0: 1 UE multi-bit ECC on DIMM_B1 (slot:2 page:0x5003 offset:0x0 grain:1 - APEI location:"
                    + " node:0 card:1 module:2)"),
            List.of(
                    "{1}[Hardware Error]: Hardware error from APEI Generic Hardware Error Source: 1",
                    "{1}[Hardware Error]: event severity: recoverable",
                    "{1}[Hardware Error]:  Error 0, type: recoverable",
                    "{1}[Hardware Error]:  fru_text: DIMM_B1",
                    "{1}[Hardware Error]:   section_type: memory error",
                    "{1}[Hardware Error]:   physical_address: 0x0000000005003000",
                    "{1}[Hardware Error]:   node:0 card:1 module:2 rank:0 bank:3 device:0 row:4660 column:86",
                    "{1}[Hardware Error]:   error_type: 3, multi-bit ECC"),
            List.of("Memory failure: 0x5003: recovery action for dirty LRU page: Recovered"));

    private static List<List<Integer>> orders(int many) {
        List<List<Integer>> orders = new ArrayList<>(List.of(List.of()));
        for (int next = 0; next < many; next++) {
            List<List<Integer>> longer = new ArrayList<>();
            for (List<Integer> order : orders) {
                for (int place = 0; place <= order.size(); place++) {
                    List<Integer> grown = new ArrayList<>(order);
                    grown.add(place, next);
                    longer.add(grown);
                }
            }
            orders = longer;
        }
        return orders;
    }

    /** 63 valid of 128: a drill with it would have moved VMs. */
    @Test
    void shouldNotTakeAnyFileForRawMachineChecks() throws IOException {
        byte[] bytes = new byte[128 * 128];
        new SplittableRandom(1).nextBytes(bytes);
        bytes[0] = 0;
        Path file = Files.write(directory.resolve("random"), bytes);
        ReplayResult result = Replay.run(file, HealthRules.DEFAULT, MemoryIdentity.NONE, step -> {});
        assertThat(result.eventCount()).isZero();
        assertThat(result.malformedCount()).isEqualTo(128);
        assertThat(result.health()).isEmpty();
    }

    @Test
    void shouldFindOnePartFailingInWhateverOrderTheSourcesTellOfOneFault() throws IOException {
        for (int gapMs : new int[] {1, 900}) {
            for (List<Integer> order : orders(ONE_FAULT.size())) {
                List<String> log = new ArrayList<>();
                for (int place = 0; place < order.size(); place++) {
                    String stamp = String.format("[%5d.%03d000] ", 100 + place * gapMs / 1000, place * gapMs % 1000);
                    ONE_FAULT.get(order.get(place)).forEach(line -> log.add(stamp + line));
                }
                ReplayResult result = replay(log.toArray(new String[0]));
                assertThat(result.malformed()).isEmpty();
                assertThat(result.eventCount()).as("%s", order).isEqualTo(1);
                assertThat(result.health())
                        .as("%s, %d ms apart", order, gapMs)
                        .singleElement()
                        .satisfies(part -> {
                            assertThat(part.component().words())
                                    .isEqualTo("DIMM CPU0 controller 0 channel 1 slot 2 (DIMM_B1)");
                            assertThat(part.state()).isEqualTo(HealthState.FAILING);
                            assertThat(part.uncorrected()).isEqualTo(1);
                        });
            }
        }
    }

    @Test
    void shouldFindOnePartFailingInWhatAnAgentTold() throws IOException {
        String page = ",\"address\":\"0x5003000\",\"source\":\"mce\",\"count\":1,\"component\":";
        ReplayResult result = replay(
                json(START_MS, "memory_error", "recoverable", page + "\"a DIMM\""),
                json(START_MS + 9, "memory_error", "recoverable", page + "\"DIMM B1\",\"refined\":true"));
        assertThat(result.health()).singleElement().satisfies(part -> {
            assertThat(part.component().words()).isEqualTo("DIMM B1");
            assertThat(part.uncorrected()).isEqualTo(1);
        });
    }

    @Test
    void shouldSayWhatItCannotRead() throws IOException {
        assertThat(replay("what", "is this").malformed())
                .containsExactly(
                        new Malformed(1, "neither JSON lines, raw machine checks, a kernel log nor mcelog's text"));
        assertThat(replay("").malformed()).isEmpty();
        assertThat(replay("[    1.000000] Linux version 6.1").malformed()).isEmpty();
        assertThatThrownBy(() ->
                        Replay.run(directory.resolve("none"), HealthRules.DEFAULT, MemoryIdentity.NONE, step -> {}))
                .isInstanceOf(NoSuchFileException.class);
    }

    @Test
    void shouldStayBoundedAndNeverThrowWhateverAFileHolds() throws IOException {
        SplittableRandom random = new SplittableRandom(11);
        String[] parts = {
            "CPU 0: Machine Check: 0 Bank 7: 8800000000000080",
            "mce: [Hardware Error]: ",
            "[Hardware Error]: ",
            "{1}[Hardware Error]: ",
            "[   12.345] ",
            "[99999999999999.999] ",
            "CPU 1 BANK 2 ",
            "STATUS ",
            "ffffffffffffffffff",
            "PROCESSOR 0:50654 ",
            "TIME 99999999999 ",
            "EDAC MC0: 1 CE x on y (page:0x1 offset:0x2 grain:1 z)",
            "Feb 31 25:00:00 ",
            "9999-99-99T99:99:99 ",
            "{\"kind\":\"poison\"",
            ",\"severity\":\"fatal\"}",
            "[[[[[",
            "}]",
            "\"",
            "\u0000",
            "\t",
            "Memory failure: 0xffffffffffffff: recovery action for x: Failed",
            "Error 0, type: fatal",
            "event severity: fatal"
        };
        for (int round = 0; round < 3000; round++) {
            StringBuilder text = new StringBuilder();
            for (int i = random.nextInt(30); i > 0; i--) {
                text.append(parts[random.nextInt(parts.length)]);
                text.append(random.nextInt(4) == 0 ? "\n" : "");
            }
            byte[] bytes = text.toString().getBytes(StandardCharsets.UTF_8);
            for (int i = 0; i < bytes.length / 50; i++) {
                bytes[random.nextInt(bytes.length)] = (byte) random.nextInt();
            }
            ReplayResult result = replay(bytes);
            assertThat(result.malformed()).hasSizeLessThanOrEqualTo(Replay.MALFORMED_MAX);
        }
        StringBuilder many = new StringBuilder();
        for (int i = 0; i < 200_000; i++) {
            many.append(i % 2 == 0 ? "rubbish" : json(START_MS + i, "poison", "deferred", ""))
                    .append('\n');
        }
        ReplayResult result = replay("{}\n" + many);
        assertThat(result.malformedCount()).isEqualTo(100_001);
        assertThat(result.malformed()).hasSize(Replay.MALFORMED_MAX);
        assertThat(result.eventCount()).isEqualTo(100_000);
        assertThat(result.steps()).hasSize(Replay.STEPS_MAX);
        assertThat(result.health().get(0).uncorrected()).isEqualTo(100_000);
    }

    @Test
    void shouldBeADrillForARunningAgent() throws IOException {
        Path file = file(String.join(
                        "\n",
                        json(START_MS, "mirror_failover", "corrected", ",\"component\":\"DIMM A1\",\"source\":\"mce\""),
                        "{rubbish",
                        json(START_MS + 3000, "poison", "deferred", ""),
                        json(START_MS + 9_000_000, "poison", "deferred", ""))
                .getBytes(StandardCharsets.UTF_8));
        List<HardwareEvent> events = new ArrayList<>();
        try (ReplaySource drill = new ReplaySource(file, 5000)) {
            long nowMs = 1_000_000;
            drill.poll(new Moment(nowMs, 0), events::add);
            assertThat(events).singleElement().satisfies(event -> {
                assertThat(event.wallMs()).isEqualTo(1_000_000);
                assertThat(event.kind()).isEqualTo(EventKind.MIRROR_FAILOVER);
                assertThat(event.line()).isEqualTo("corrected error on DIMM A1: mirror failover, a drill (mce)");
            });
            drill.poll(new Moment(nowMs + 2999, 0), events::add);
            assertThat(events).hasSize(1);
            drill.poll(new Moment(nowMs + 3000, 0), events::add);
            assertThat(events).hasSize(2);
            drill.poll(new Moment(nowMs + 8000, 0), events::add);
            drill.poll(new Moment(nowMs + 8001, 0), events::add);
            assertThat(events).hasSize(3);
            assertThat(events.get(2).severity()).isEqualTo(Severity.DEFERRED);
            assertThat(drill.state().detail())
                    .startsWith("a drill from " + file + ", JSON, which has ended, line 2: no JSON");
            assertThat(drill.state().events()).isEqualTo(3);
            assertThat(drill.state().lost()).isEqualTo(1);
        }
        try (ReplaySource absent = new ReplaySource(directory.resolve("none"), 0)) {
            assertThat(absent.poll(new Moment(0, 0), events::add)).isZero();
            assertThat(absent.state().detail()).contains("cannot read");
        }
    }
}
