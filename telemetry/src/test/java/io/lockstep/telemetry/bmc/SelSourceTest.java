package io.lockstep.telemetry.bmc;

import static org.assertj.core.api.Assertions.assertThat;

import io.lockstep.linux.Errno;
import io.lockstep.linux.LinuxException;
import io.lockstep.telemetry.event.EventKind;
import io.lockstep.telemetry.event.HardwareEvent;
import io.lockstep.telemetry.source.Counters;
import io.lockstep.telemetry.source.Moment;
import io.lockstep.telemetry.source.SourceState.Status;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SelSourceTest {
    private static final long NOW = 1_700_000_000_000L;

    @TempDir
    Path directory;

    private final FakeBmc bmc = new FakeBmc();
    private Counters kept = new Counters("");
    private final List<HardwareEvent> events = new ArrayList<>();

    /** A controller with a log of 200 records that overwrites its oldest: IPMI 2.0, 31.2 and 31.5. */
    private static final class FakeBmc implements Bmc {
        final List<byte[]> records = new ArrayList<>();
        int erased = 5;
        int number;
        int errno;
        boolean overflow;

        void add(long seconds, int sensorType, int sensor, int type, int data1, int data2, int data3) {
            number = number % 0xfffe + 1;
            ByteBuffer record = ByteBuffer.allocate(16).order(ByteOrder.LITTLE_ENDIAN);
            record.putShort((short) number)
                    .put((byte) 2)
                    .putInt((int) seconds)
                    .putShort((short) 0x20)
                    .put((byte) 4);
            record.put((byte) sensorType).put((byte) sensor).put((byte) type);
            record.put((byte) data1).put((byte) data2).put((byte) data3);
            records.add(record.array());
            if (records.size() > 200) {
                records.remove(0);
            }
        }

        void clear() {
            records.clear();
            erased++;
            number = 0;
        }

        @Override
        public byte[] command(int function, int command, byte[] bytes) throws LinuxException {
            if (errno != 0) {
                throw new LinuxException("open(/dev/ipmi0, 0x2)", errno);
            }
            assertThat(function).isEqualTo(10);
            if (command == 0x40) {
                ByteBuffer info = ByteBuffer.allocate(15).order(ByteOrder.LITTLE_ENDIAN);
                info.put((byte) 0)
                        .put((byte) 0x51)
                        .putShort((short) records.size())
                        .putShort((short) 100);
                info.putInt(0).putInt(erased).put((byte) (overflow ? 0x80 : 0));
                return info.array();
            }
            assertThat(command).isEqualTo(0x43);
            int wanted = (bytes[2] & 0xff) | (bytes[3] & 0xff) << 8;
            for (int i = 0; i < records.size(); i++) {
                if (wanted == id(i) || (wanted == 0 && i == 0)) {
                    ByteBuffer answer = ByteBuffer.allocate(19).order(ByteOrder.LITTLE_ENDIAN);
                    int next = i + 1 < records.size() ? id(i + 1) : 0xffff;
                    return answer.put((byte) 0)
                            .putShort((short) next)
                            .put(records.get(i))
                            .array();
                }
            }
            return new byte[] {(byte) 0xcb};
        }

        private int id(int index) {
            return (records.get(index)[0] & 0xff) | (records.get(index)[1] & 0xff) << 8;
        }

        @Override
        public void close() {}
    }

    /** Of a new life of the host's kernel. */
    private SelSource source() {
        Counters before = kept;
        kept = new Counters("");
        kept.restoreMarks(before.marks());
        return new SelSource(bmc, kept);
    }

    private List<String> poll(SelSource source) {
        events.clear();
        int told = source.poll(new Moment(NOW, 0), events::add);
        assertThat(told).isEqualTo(events.size());
        return events.stream().map(HardwareEvent::line).toList();
    }

    private void memory(long seconds) {
        bmc.add(seconds, 0x0c, 7, 0x6f, 0, 0, 0);
    }

    @Test
    void shouldTellMemoryRedundancyAndPowerSupplies() {
        long now = NOW / 1000;
        bmc.add(now, 0x0c, 0x12, 0x6f, 0x30, 0xff, 3);
        bmc.add(now, 0x0c, 0x12, 0x6f, 1, 0xff, 0xff);
        bmc.add(now, 0x0c, 0x12, 0x6f, 5, 0, 0);
        bmc.add(now, 0x0c, 0x12, 0x6f, 8, 0, 0);
        bmc.add(now, 0x0c, 0x13, 0x0b, 1, 0, 0);
        bmc.add(now, 0x08, 0x50, 0x0b, 2, 0, 0);
        bmc.add(now, 0x08, 0x50, 0x6f, 1, 0, 0);
        bmc.add(now, 0x08, 0x50, 0xef, 1, 0, 0);
        bmc.add(now, 0x08, 0x50, 0x0b, 0, 0, 0);
        bmc.add(now, 0x04, 0x30, 0x01, 2, 0, 0);
        bmc.add(now, 0x21, 0x30, 0x6f, 2, 0, 0);
        assertThat(poll(source()))
                .containsExactly(
                        "corrected error on DIMM BMC sensor 18 module 3: memory error that was corrected (ipmi-sel)",
                        "uncorrected error on DIMM BMC sensor 18: memory error that could not be corrected (ipmi-sel)",
                        "notice on DIMM BMC sensor 18: so many corrected memory errors that no more are logged (ipmi-sel)",
                        "notice on DIMM BMC sensor 18: memory spare came into use (ipmi-sel)",
                        "notice on DIMM BMC sensor 19: redundancy lost (ipmi-sel)",
                        "notice on power supply of BMC sensor 80: redundancy degraded (ipmi-sel)",
                        "notice on power supply of BMC sensor 80: power supply failed (ipmi-sel)",
                        "notice on power supply of BMC sensor 80: redundancy is whole (ipmi-sel)",
                        "notice on sensor BMC/48: fan below its critical limit (ipmi-sel)");
        assertThat(events.get(4).kind()).isEqualTo(EventKind.REDUNDANCY_LOST);
        assertThat(events.get(4).immediate()).isTrue();
        assertThat(events.get(0).raw().words()).isEqualTo("sel 01000200f153652000040c126f30ff03");
    }

    @Test
    void shouldTellEachRecordOnceAcrossRestarts() {
        memory(NOW / 1000 - 100);
        SelSource source = source();
        assertThat(poll(source)).hasSize(1);
        assertThat(poll(source)).isEmpty();
        memory(NOW / 1000 - 50);
        memory(NOW / 1000 - 50);
        assertThat(poll(source())).hasSize(2);
        assertThat(poll(source())).isEmpty();
    }

    @Test
    void shouldTellEachRecordOnceWhenTheLogWasClearedOrWrapsRound() {
        SelSource source = source();
        assertThat(poll(source)).isEmpty();
        SplittableRandom random = new SplittableRandom(3);
        int added = 0;
        int told = 0;
        for (int round = 0; round < 3000; round++) {
            for (int i = random.nextInt(70); i > 0; i--) {
                memory(NOW / 1000 + added / 10);
                added++;
            }
            if (random.nextInt(20) == 0) {
                source = source();
            }
            int polls = 0;
            do {
                told += poll(source).size();
                polls++;
            } while (events.size() == 64 && polls < 10);
            assertThat(told).as("round %s", round).isEqualTo(added);
            if (random.nextInt(15) == 0) {
                bmc.clear();
            }
        }
    }

    @Test
    void shouldTakeWhatIsOlderThanADayForHistoryOnTheFirstDayAlone() {
        memory(NOW / 1000 - 90_000);
        memory(NOW / 1000 - 80_000);
        bmc.add(100, 0x0c, 1, 0x6f, 0, 0, 0);
        SelSource source = source();
        assertThat(poll(source)).hasSize(2);
        assertThat(events).extracting(HardwareEvent::wallMs).containsExactly(NOW - 80_000_000, NOW);
        assertThat(source.state().detail()).isEqualTo("3 records, 1 of them of before");
        memory(NOW / 1000 - 90_000);
        assertThat(poll(source)).as("a clock that was set back").hasSize(1);
    }

    /** A log of three turns, read for the first time by an agent that ends after the first. */
    @Test
    void shouldPassOverHistoryWhenTheFirstReadingWasInterrupted() {
        for (int i = 0; i < 150; i++) {
            memory(NOW / 1000 - 90_000);
        }
        memory(NOW / 1000 - 50);
        assertThat(poll(source())).isEmpty();
        SelSource second = source();
        assertThat(poll(second)).isEmpty();
        assertThat(poll(second)).hasSize(1);
    }

    @Test
    void shouldSayHowItIs() {
        SelSource source = source();
        bmc.errno = Errno.ENOENT;
        assertThat(poll(source)).isEmpty();
        assertThat(source.state().status()).isEqualTo(Status.ABSENT);
        assertThat(source.state().cure()).contains("modprobe ipmi_si ipmi_devintf");
        bmc.errno = Errno.EACCES;
        poll(source);
        assertThat(source.state().status()).isEqualTo(Status.NO_PRIVILEGE);
        bmc.errno = Errno.ETIMEDOUT;
        poll(source);
        assertThat(source.state().status()).isEqualTo(Status.DEAF);
        bmc.errno = 0;
        bmc.overflow = true;
        poll(source);
        assertThat(source.state().status()).isEqualTo(Status.LOSING);
        assertThat(source.state().cure()).isEqualTo("ipmitool sel clear");
        bmc.overflow = false;
        poll(source);
        assertThat(source.state().status()).isEqualTo(Status.PRESENT);
    }

    @Test
    void shouldBeAbsentWithoutHarmWhereThereIsNoDevice() {
        try (SelSource none = new SelSource(Bmc.at(directory.resolve("ipmi0")), kept)) {
            assertThat(none.poll(new Moment(NOW, 0), events::add)).isZero();
            assertThat(none.state().status()).isEqualTo(Status.ABSENT);
        }
    }

    @Test
    void shouldNeverThrowWhateverARecordHolds() {
        SplittableRandom random = new SplittableRandom(9);
        for (int i = 0; i < 100_000; i++) {
            byte[] bytes = new byte[16];
            random.nextBytes(bytes);
            bytes[2] = random.nextBoolean() ? 2 : bytes[2];
            bytes[12] = random.nextBoolean() ? 0x6f : bytes[12];
            HardwareEvent event = new SelRecord(bytes).event("ipmi-sel", NOW);
            assertThat(event == null ? 10 : event.line().length()).isBetween(10, 200);
        }
    }
}
