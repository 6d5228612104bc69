package io.lockstep.agent.api;

import io.lockstep.replication.DutyCycle;
import java.util.Map;

/** How long the API's threads take: a request's wait for one of them, its answer, and a round of the events. Any thread. */
final class ApiRounds {
    final DutyCycle queue = DutyCycle.idle();
    final DutyCycle answer = DutyCycle.idle();
    final DutyCycle events = DutyCycle.idle();

    /** By their names in {@code /metrics}. */
    Map<String, DutyCycle> all() {
        return Map.of("api-queue", queue, "api", answer, "api-events", events);
    }
}
