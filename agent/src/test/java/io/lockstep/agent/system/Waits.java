package io.lockstep.agent.system;

import java.time.Duration;
import java.util.concurrent.Callable;
import org.awaitility.Awaitility;

/** Waits for conditions, never without a bound. */
final class Waits {
    private Waits() {}

    static void until(String what, int seconds, Callable<Boolean> condition) {
        Awaitility.await(what)
                .pollDelay(Duration.ZERO)
                .pollInterval(Duration.ofMillis(10))
                .atMost(Duration.ofSeconds(seconds))
                .until(condition);
    }
}
