package io.lockstep.replication.pipeline;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.ByteBuffer;
import java.util.HashMap;
import java.util.Map;
import java.util.Random;
import org.agrona.BufferUtil;
import org.agrona.UnsafeApi;
import org.junit.jupiter.api.Test;

class PageCacheTest {
    @Test
    void shouldFindWhatWasInsertedWhenNothingWasEvicted() {
        PageCache cache = new PageCache(8 * 4096);
        assertThat(cache.capacityPages()).isEqualTo(8);
        for (int page = 0; page < 8; page++) {
            assertThat(cache.find(1, page)).isZero();
            long address = cache.insert(1, page);
            UnsafeApi.putLong(address, page);
        }
        for (int page = 0; page < 8; page++) {
            assertThat(UnsafeApi.getLong(cache.find(1, page))).isEqualTo(page);
        }
        assertThat(cache.hits()).isEqualTo(8);
        assertThat(cache.misses()).isEqualTo(8);
        assertThat(cache.evictions()).isZero();
        cache.clear();
        assertThat(cache.find(1, 3)).isZero();
    }

    @Test
    void shouldNeverGiveAnotherPagesContentWhenEntriesAreEvicted() {
        PageCache cache = new PageCache(100 * 4096);
        Random random = new Random(4);
        Map<Long, Long> last = new HashMap<>();
        for (int i = 0; i < 100_000; i++) {
            int block = random.nextInt(3);
            int page = random.nextInt(200);
            long key = block * 1_000L + page;
            long found = cache.find(block, page);
            if (found != 0) {
                assertThat(UnsafeApi.getLong(found)).isEqualTo(last.get(key));
            } else {
                found = cache.insert(block, page);
            }
            UnsafeApi.putLong(found, i);
            last.put(key, (long) i);
        }
        assertThat(cache.evictions()).isPositive();
        assertThat(cache.hits()).isPositive();
    }

    @Test
    void shouldKeepPagesThatAreFoundWhenOthersPassThrough() {
        PageCache cache = new PageCache(8 * 4096);
        cache.insert(0, 1_000);
        for (int page = 0; page < 100; page++) {
            assertThat(cache.find(0, 1_000)).isNotZero();
            cache.insert(0, page);
        }
        assertThat(cache.find(0, 1_000)).isNotZero();
    }

    @Test
    void shouldFindContentOnlyWhereItIsByteForByte() {
        PageCache cache = new PageCache(1 << 20);
        ByteBuffer wanted = BufferUtil.allocateDirectAligned(4096, 64);
        long address = BufferUtil.address(wanted);
        wanted.putLong(4088, 7);
        long entry = cache.insert(3, 70_000);
        PageBytes.copy(address, entry);
        assertThat(cache.findContent(99, address)).as("without a fingerprint").isZero();
        cache.fingerprint(entry, 99);
        long found = cache.findContent(99, address);
        assertThat(PageCache.blockOf(found)).isEqualTo(3);
        assertThat(PageCache.pageOf(found)).isEqualTo(70_000);
        assertThat(cache.findContent(98, address)).as("another fingerprint").isZero();
        wanted.putLong(4088, 8);
        assertThat(cache.findContent(99, address))
                .as("the same fingerprint of other content")
                .isZero();
        wanted.putLong(4088, 7);
        cache.fingerprint(entry, 0);
        assertThat(cache.findContent(99, address)).as("content that changed").isZero();
        cache.fingerprint(entry, 99);
        cache.clear();
        assertThat(cache.findContent(99, address)).as("cleared").isZero();
    }

    @Test
    void shouldForgetTheFingerprintOfAPageThatMadePlace() {
        PageCache cache = new PageCache(8 * 4096);
        ByteBuffer zeros = BufferUtil.allocateDirectAligned(4096, 64);
        PageBytes.zero(cache.insert(0, 0));
        cache.fingerprint(cache.find(0, 0), 5);
        // Every entry but the one that was used a moment ago makes place before it.
        for (int page = 1; page <= 16; page++) {
            PageBytes.zero(cache.insert(0, page));
        }
        assertThat(cache.find(0, 0)).isZero();
        assertThat(cache.findContent(5, BufferUtil.address(zeros))).isZero();
    }

    @Test
    void shouldHoldNothingWhenItHasNoMemory() {
        PageCache cache = new PageCache(4096);
        assertThat(cache.capacityPages()).isZero();
        assertThat(cache.find(0, 0)).isZero();
        assertThat(cache.insert(0, 0)).isZero();
        cache.clear();
    }

    @Test
    void shouldRefuseWhenSizeIsOutOfRange() {
        assertThatThrownBy(() -> new PageCache(-1))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("page cache of -1 bytes not in 0..1073741824");
    }
}
