package io.lockstep.agent.daemon;

import static org.assertj.core.api.Assertions.assertThat;

import io.lockstep.linux.ProcessIdentity;
import io.lockstep.replication.hypervisor.QemuProcess;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class CommandLineFactsTest {
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "''|134217728",
                "512|536870912",
                "2G|2147483648",
                "size=1T,slots=2|1099511627776",
                "99999999999999999999|0",
                "9999999999T|0",
                "much|0"
            })
    void shouldReadTheMemoryThatAnybodyAskedFor(String memory, long bytes) {
        QemuProcess process = new QemuProcess(
                new ProcessIdentity(42, 1), "", List.of(), 0, 0, Path.of("/"), memory, List.of(), false);
        assertThat(CommandLineFacts.memoryBytes(process)).isEqualTo(bytes);
    }
}
