package io.lockstep.agent.view;

import org.jspecify.annotations.Nullable;

/**
 * One run of a verb.
 *
 * @param vm its name in all interfaces, however the request named it
 * @param state {@code running}, {@code done} or {@code failed}
 * @param startedMs milliseconds since 1970
 * @param phase of its progress; empty before the first
 * @param done of total, in bytes
 * @param total 0 if unknown
 * @param bytesPerSecond since the phase began
 * @param remainingMs estimate for the phase; -1 if unknown
 * @param result of the verb, null unless done
 * @param error null unless failed
 */
public record JobView(
        String id,
        String verb,
        String vm,
        String state,
        long startedMs,
        String phase,
        long done,
        long total,
        double bytesPerSecond,
        long remainingMs,
        @Nullable Object result,
        @Nullable ErrorView error) {}
