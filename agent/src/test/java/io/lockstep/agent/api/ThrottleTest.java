package io.lockstep.agent.api;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class ThrottleTest {
    private static final long S = 1_000_000_000L;

    @Test
    void shouldNotDelayAClientThatAsksNowAndThen() {
        Throttle throttle = new Throttle();
        for (long i = 0; i < 1000; i++) {
            assertThat(throttle.book(i * 10_000_000)).isZero();
            throttle.done(1_000_000);
        }
    }

    @Test
    void shouldKeepAHundredBusyClientsToAFifthOfAProcessor() {
        Throttle throttle = new Throttle();
        // Each asks again as soon as it was answered; each request costs 2 ms, of which the handler sees 1.9.
        long[] readyNs = new long[100];
        long served = 0;
        for (long nowNs = 0; nowNs < 20 * S; nowNs += 1_000_000) {
            for (int i = 0; i < readyNs.length; i++) {
                if (readyNs[i] <= nowNs) {
                    readyNs[i] = nowNs + throttle.book(nowNs) + 2_000_000;
                    throttle.done(1_900_000);
                    served += readyNs[i] < 20 * S ? 1 : 0;
                }
            }
        }
        // 20 s × 1/5 ÷ 2 ms, and the burst of 0.2 s.
        assertThat(served).isBetween(1_900L, 2_200L);
        // Nobody waits longer than everybody's requests take.
        assertThat(throttle.book(20 * S)).isLessThanOrEqualTo(100 * 2_000_000L * 5 + S);
    }

    @Test
    void shouldForgiveWhatLiesBehind() {
        Throttle throttle = new Throttle();
        for (int i = 0; i < 1000; i++) {
            throttle.book(0);
            throttle.done(5_000_000);
        }
        assertThat(throttle.book(0)).isPositive();
        assertThat(throttle.book(100 * S)).isZero();
    }
}
