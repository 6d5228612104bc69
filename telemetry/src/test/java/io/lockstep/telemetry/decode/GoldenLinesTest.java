package io.lockstep.telemetry.decode;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** The English of the decoder, line by line: {@code machine-checks.txt} holds inputs and what an operator reads. */
class GoldenLinesTest {
    private static List<String> lines() throws IOException {
        try (BufferedReader in = new BufferedReader(new InputStreamReader(
                Objects.requireNonNull(GoldenLinesTest.class.getResourceAsStream("/machine-checks.txt")),
                StandardCharsets.UTF_8))) {
            return in.lines()
                    .filter(line -> !line.isBlank() && !line.startsWith("#"))
                    .toList();
        }
    }

    private static MachineCheck check(String input) {
        Map<String, Long> numbers = new HashMap<>(Map.of("cpu", 3L, "cs", 0x33L, "mcgcap", Checks.CAP));
        for (String word : input.split(" ", -1)) {
            int equals = word.indexOf('=');
            numbers.put(word.substring(0, equals), Long.parseUnsignedLong(word.substring(equals + 1), 16));
        }
        long ipid = numbers.getOrDefault("ipid", 0L);
        return new MachineCheck(
                0,
                numbers.getOrDefault("vendor", ipid == 0 ? 0L : MachineCheck.AMD)
                        .intValue(),
                numbers.getOrDefault("cpuid", 0L).intValue(),
                numbers.getOrDefault("socket", 0L).intValue(),
                numbers.getOrDefault("cpu", 0L).intValue(),
                numbers.getOrDefault("bank", 0L).intValue(),
                numbers.getOrDefault("cs", 0L).intValue(),
                numbers.getOrDefault("mcgcap", 0L),
                numbers.getOrDefault("mcgstatus", 0L),
                numbers.getOrDefault("status", 0L),
                numbers.getOrDefault("addr", 0L),
                numbers.getOrDefault("misc", 0L),
                numbers.getOrDefault("synd", 0L),
                ipid,
                0,
                0);
    }

    @Test
    void shouldSayEveryLineAsItIsWrittenDown() throws IOException {
        List<String> lines = lines();
        assertThat(lines).hasSizeGreaterThan(70);
        for (String line : lines) {
            int bar = line.indexOf(" | ");
            assertThat(MachineCheckDecoder.decode(check(line.substring(0, bar))).line())
                    .as(line)
                    .isEqualTo(line.substring(bar + 3));
        }
    }

    @Test
    void shouldHoldALineOfEveryBankTypeOfAmd() throws IOException {
        Set<SmcaBank> found = EnumSet.noneOf(SmcaBank.class);
        for (String line : lines()) {
            SmcaBank bank =
                    SmcaBank.of(check(line.substring(0, line.indexOf(" | "))).ipid());
            if (bank != null) {
                found.add(bank);
            }
        }
        assertThat(found).containsExactlyInAnyOrder(SmcaBank.values());
    }
}
