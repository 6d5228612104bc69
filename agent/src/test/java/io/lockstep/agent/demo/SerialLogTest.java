package io.lockstep.agent.demo;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SerialLogTest {
    private static final Duration READ = Duration.ofSeconds(10);

    @TempDir
    Path directory;

    @Test
    void shouldKeepTicksWithTheirOffsetsWhenLinesComeInPiecesAmongOthers() throws Exception {
        Path file = directory.resolve("guest.serial");
        try (SerialLog log = new SerialLog(file)) {
            append(file, "micro: up\r\ntick 1 state 00000000");
            append(file, "000000ff\r\ntick 2 sta\ntick 3 state 8000000000000000\n");
            Deadline.await("two ticks", READ, () -> log.count() == 2);

            List<Tick> ticks = log.from(0);
            assertThat(ticks.get(0).number()).isEqualTo(1);
            assertThat(ticks.get(0).state()).isEqualTo(255);
            assertThat(ticks.get(0).endOffset()).isEqualTo(42);
            assertThat(ticks.get(1).number()).isEqualTo(3);
            assertThat(ticks.get(1).state()).isEqualTo(Long.MIN_VALUE);
            assertThat(ticks.get(1).endOffset()).isEqualTo(log.sizeBytes());
            assertThat(log.from(1)).hasSize(1);
        }
    }

    private static void append(Path file, String text) throws Exception {
        Files.writeString(file, text, StandardOpenOption.APPEND);
    }
}
