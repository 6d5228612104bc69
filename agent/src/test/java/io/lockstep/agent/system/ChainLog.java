package io.lockstep.agent.system;

import static org.assertj.core.api.Assertions.assertThat;

import io.lockstep.agent.demo.HashChain;
import io.lockstep.replication.hypervisor.QmpConnection;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The ticks in a guest's serial log, held against the recomputed chain. Invariants: without a cut, each tick follows the one before, and none
 * is missing or repeated; at a cut the guest may step back once, and the line that the cut fell into proves nothing.
 */
final class ChainLog {
    private static final Pattern TICK = Pattern.compile("tick (\\d{1,7}) state ([0-9a-f]{16})");
    private static final String UP = "micro: up";
    private static final int MIB = 16;
    private static final int PAGES_PER_TICK = 20;
    private static final int SWEEP_PAGES = 32;

    private final Path file;
    private final HashChain chain = new HashChain(MIB, PAGES_PER_TICK, SWEEP_PAGES);
    private final List<Long> cuts = new ArrayList<>();
    private long begin;

    ChainLog(Path file) {
        this.file = file;
    }

    /** QEMU was killed now. */
    void cut() throws IOException {
        cuts.add(size());
    }

    /** Resets the micro guest; returns when its chain has started over. What it printed before was right. */
    void reset(QmpConnection monitor) throws Exception {
        check();
        int before = text().lastIndexOf(UP);
        monitor.execute("system_reset");
        Waits.until("the guest's start after the reset", 30, () -> text().lastIndexOf(UP) > before);
        begin += text().lastIndexOf(UP);
        cuts.clear();
    }

    /** Number of the last tick printed; 0 if there is none. */
    int last() throws IOException {
        Matcher matcher = TICK.matcher(text());
        int last = 0;
        while (matcher.find()) {
            last = Integer.parseInt(matcher.group(1));
        }
        return last;
    }

    /** Returns when the guest has read every page of its arena from now on, each state right. */
    void awaitSweep() throws IOException {
        int until = last() + chain.sweepTicks();
        Waits.until("tick " + until, 60, () -> last() >= until);
        check();
    }

    /** Checks every line from the beginning. */
    void check() throws IOException {
        String text = text();
        int last = 0;
        int cut = 0;
        boolean torn = false;
        boolean stepBack = false;
        int reach = 1;
        int from = 0;
        for (int end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', from)) {
            if (cut < cuts.size() && begin + end >= cuts.get(cut)) {
                cut++;
                torn = true;
                stepBack = true;
            }
            String line = text.substring(from, end).strip();
            from = end + 1;
            Matcher matcher = TICK.matcher(line);
            boolean tick = matcher.matches();
            if (!tick && !line.contains("tick ") && !torn) {
                continue; // The kernel's or the init's.
            }
            int number = tick ? Integer.parseInt(matcher.group(1)) : -1;
            boolean next = number > last && number <= last + reach;
            boolean right = tick
                    && (next || (stepBack && number >= 1 && number <= last))
                    && Long.parseUnsignedLong(matcher.group(2), 16) == chain.stateAfter(number);
            if (!right && torn) {
                torn = false;
                reach = 2;
                continue;
            }
            assertThat(right)
                    .as("line \"%s\" after tick %d of %s", line, last, file)
                    .isTrue();
            stepBack &= number > last;
            reach = 1;
            last = number;
        }
    }

    private String text() throws IOException {
        try {
            byte[] bytes = Files.readAllBytes(file);
            return new String(bytes, (int) begin, bytes.length - (int) begin, StandardCharsets.ISO_8859_1);
        } catch (NoSuchFileException e) {
            return "";
        }
    }

    private long size() throws IOException {
        return Files.size(file);
    }
}
