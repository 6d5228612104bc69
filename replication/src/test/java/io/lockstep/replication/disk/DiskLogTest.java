package io.lockstep.replication.disk;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.ByteBuffer;
import java.util.Random;
import java.util.concurrent.atomic.AtomicInteger;
import org.agrona.UnsafeApi;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What a guest writes while a copy reads the same place, seeded. */
class DiskLogTest {
    private static final int SECTOR = 512;
    private static final int WINDOW = 64 * SECTOR;
    private static final int DISK = 4 * WINDOW;

    private final DiskLog log = new DiskLog(8 << 20, () -> {});
    private final byte[] image = new byte[DISK];

    private final DiskLog.Taker taker = new DiskLog.Taker() {
        @Override
        public void write(int disk, long offset, long contentAddress, int length) {
            for (int i = 0; i < length; i++) {
                image[(int) offset + i] = UnsafeApi.getByte(contentAddress + i);
            }
        }

        @Override
        public void zeroes(int disk, long offset, long length) {
            java.util.Arrays.fill(image, (int) offset, (int) (offset + length), (byte) 0);
        }
    };

    /** The disk as QEMU has it, whose guest writes between any two steps of the copy; reads are of some moment in between. */
    @Test
    void shouldEndAsTheDiskWhenTheGuestWritesWhileItIsCopied() throws Exception {
        for (int seed = 0; seed < 200; seed++) {
            Random random = new Random(seed);
            byte[] disk = new byte[DISK];
            random.nextBytes(disk);
            java.util.Arrays.fill(disk, WINDOW, WINDOW + 4 * 4096, (byte) 0);
            java.util.Arrays.fill(image, (byte) 1);
            log.begin();
            for (int at = 0; at < DISK; at += WINDOW) {
                guestWrites(random, disk, at);
                log.beginCopy(0, at, WINDOW);
                guestWrites(random, disk, at);
                byte[] read = java.util.Arrays.copyOfRange(disk, at, at + WINDOW);
                guestWrites(random, disk, at);
                assertThat(log.endCopy(direct(read), zeroPages(read))).isTrue();
                guestWrites(random, disk, at);
                log.take(log.tail(), Long.MAX_VALUE, taker);
            }
            assertThat(image).as("seed %d", seed).isEqualTo(disk);
        }
    }

    private void guestWrites(Random random, byte[] disk, int near) throws NbdException {
        for (int count = random.nextInt(4); count > 0; count--) {
            int bytes = (1 + random.nextInt(8)) * SECTOR;
            int at = Math.min(DISK - bytes, near + random.nextInt(WINDOW / SECTOR) * SECTOR);
            byte[] data = new byte[bytes];
            if (random.nextBoolean()) {
                random.nextBytes(data);
                System.arraycopy(data, 0, disk, at, bytes);
                log.write(0, at, direct(data));
            } else {
                System.arraycopy(data, 0, disk, at, bytes);
                log.zeroes(0, at, bytes);
            }
        }
    }

    @Test
    @Timeout(10)
    void shouldEndACopyThatWaitsForRoomWhenNobodyTakesAnyMore() throws Exception {
        log.begin();
        log.write(0, 0, direct(new byte[3 << 20]));
        log.beginCopy(0, 0, WINDOW);
        Thread end = new Thread(log::end);
        end.start();
        assertThat(log.endCopy(direct(new byte[WINDOW]), new long[4])).isFalse();
        end.join();
        assertThat(log.lost()).isTrue();
    }

    @Test
    @Timeout(10)
    void shouldLetADrainEndThatNobodyHasRoomFor() throws Exception {
        log.begin();
        log.draining(true);
        for (int i = 0; i < 9; i++) {
            log.write(0, 0, direct(new byte[1 << 20]));
        }
        assertThat(log.lost()).isTrue();
        log.end();
        log.begin();
        log.write(0, 0, direct(new byte[SECTOR]));
        assertThat(log.lost()).as("a new session").isFalse();
    }

    @Test
    void shouldGiveManyZeroesByAndBy() throws Exception {
        DiskLog.Taker nobody = new DiskLog.Taker() {
            @Override
            public void write(int disk, long offset, long contentAddress, int length) {}

            @Override
            public void zeroes(int disk, long offset, long length) {}
        };
        log.begin();
        for (int i = 0; i < 4; i++) {
            log.zeroes(0, 0, 1L << 31);
        }
        long until = log.tail();
        int takes = 0;
        while (log.waits(until)) {
            log.take(until, 8 << 20, nobody);
            takes++;
        }
        assertThat(takes).isEqualTo(4);
    }

    @Test
    void shouldTellOnceThatWritesWereDropped() throws Exception {
        AtomicInteger told = new AtomicInteger();
        DiskLog telling = new DiskLog(1 << 16, told::incrementAndGet);
        telling.begin();
        telling.end();
        telling.write(0, 0, direct(new byte[SECTOR]));
        telling.write(0, 0, direct(new byte[SECTOR]));
        assertThat(telling.lost()).isTrue();
        assertThat(told).hasValue(1);
    }

    private static ByteBuffer direct(byte[] data) {
        return ByteBuffer.allocateDirect(data.length).put(data).flip();
    }

    private static long[] zeroPages(byte[] data) {
        long[] zero = new long[4];
        for (int page = 0; page < data.length / 4096; page++) {
            boolean all = true;
            for (int i = 0; i < 4096; i++) {
                all &= data[page * 4096 + i] == 0;
            }
            zero[page / 64] |= all ? 1L << page : 0;
        }
        return zero;
    }
}
