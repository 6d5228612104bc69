package io.lockstep.agent.supervisor;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

class WatchdogFeederTest {
    private final AtomicLong nowNs = new AtomicLong(Long.MAX_VALUE - 10);
    private final AtomicInteger pings = new AtomicInteger();
    private final List<ProgressSource> sources = new ArrayList<>();
    private final WatchdogFeeder feeder = new WatchdogFeeder(() -> sources, pings::incrementAndGet, 1_000, nowNs::get);

    @Test
    void shouldPingWhileEveryCycleGoesOn() {
        assertThat(feeder.check()).isTrue();
        sources.add(cycle("a", nowNs.get(), 100));
        sources.add(cycle("b", nowNs.get() - 100, 100));

        assertThat(feeder.check()).isTrue();
        assertThat(pings).hasValue(2);
    }

    @Test
    void shouldNotPingWhileOneCycleStandsStill() {
        sources.add(cycle("a", nowNs.get(), 1_000));
        sources.add(cycle("b", nowNs.get(), 100));
        nowNs.addAndGet(101);

        assertThat(feeder.check()).isFalse();
        assertThat(feeder.check()).isFalse();
        assertThat(pings).hasValue(0);
        sources.remove(1);
        assertThat(feeder.check()).isTrue();
    }

    private static ProgressSource cycle(String name, long lastNs, long timeoutNs) {
        return new ProgressSource() {
            @Override
            public String name() {
                return name;
            }

            @Override
            public long lastProgressNs() {
                return lastNs;
            }

            @Override
            public long progressTimeoutNs() {
                return timeoutNs;
            }
        };
    }
}
