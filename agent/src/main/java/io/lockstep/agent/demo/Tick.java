package io.lockstep.agent.demo;

import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * One line of the guest: {@code tick N state H}.
 *
 * @param atNs {@link System#nanoTime()} when it was read, at most about 1 ms after it was written
 * @param startOffset of the line in the serial log, in bytes
 * @param endOffset of the line in the serial log, in bytes, its newline included
 */
public record Tick(long atNs, long startOffset, long endOffset, int number, long state) {
    private static final Pattern LINE = Pattern.compile("tick (\\d{1,7}) state ([0-9a-f]{16})");

    /** Null if the line is not a tick's. */
    static @Nullable Tick parse(String line, long atNs, long startOffset, long endOffset) {
        Matcher matcher = LINE.matcher(line);
        if (!matcher.matches()) {
            return null;
        }
        return new Tick(
                atNs,
                startOffset,
                endOffset,
                Integer.parseInt(matcher.group(1)),
                Long.parseUnsignedLong(matcher.group(2), 16));
    }
}
