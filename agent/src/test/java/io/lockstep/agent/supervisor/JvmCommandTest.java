package io.lockstep.agent.supervisor;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;

class JvmCommandTest {
    private static final List<String> LINES = List.of(
            "# A comment.",
            "# Every JVM:",
            "-a",
            "",
            "# JDK 24 and newer only:",
            "-b",
            "# The agent:",
            "# A comment inside.",
            "-c",
            "# Commands and the supervisor:",
            "-d");

    @Test
    void shouldTakeTheSectionsThatApply() {
        assertThat(JvmCommand.options(LINES, 17, "# The agent:")).containsExactly("-a", "-c");
        assertThat(JvmCommand.options(LINES, 25, "# The agent:")).containsExactly("-a", "-b", "-c");
        assertThat(JvmCommand.options(LINES, 25, "# Commands and the supervisor:"))
                .containsExactly("-a", "-b", "-d");
    }

    @Test
    void shouldStartTheAgentWithTheOptionsOfTheOneFile() throws Exception {
        Path file = Path.of(System.getProperty("lockstep.project", ".."), "agent/jvm.options");

        assertThat(JvmCommand.agent(file))
                .startsWith(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString())
                .contains("--add-opens=java.base/sun.nio.ch=ALL-UNNAMED", "-Xmx512m", "-cp")
                .doesNotContain("-XX:TieredStopAtLevel=1");
    }
}
