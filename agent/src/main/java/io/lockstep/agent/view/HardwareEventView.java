package io.lockstep.agent.view;

import org.jspecify.annotations.Nullable;

/**
 * Something that happened to the hardware of a host.
 *
 * @param sequence one higher for each
 * @param wallMs when, milliseconds since 1970
 * @param kind what sort of thing, lower case with underscores
 * @param severity how bad, lower case with underscores
 * @param component where
 * @param address physical address in bytes, hexadecimal with 0x; null if none is known
 * @param count how many times
 * @param source who saw it
 * @param line all of it in one English sentence
 * @param raw the numbers behind it
 * @param refined whether it tells more of one that was counted before
 */
public record HardwareEventView(
        long sequence,
        long wallMs,
        String kind,
        String severity,
        String component,
        @Nullable String address,
        long count,
        String source,
        String line,
        String raw,
        boolean refined) {}
