package io.lockstep.agent.demo;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.ObjectMapper;
import io.lockstep.agent.view.Quantiles;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

class DemoReportTest {
    private static final String COMMON = """
            "ramBytes":67108864,"tracker":"userfaultfd-wp","initialSync":{"bytes":68157440,"ms":150.5},"epochs":400,\
            "epochMs":{"p50":25.0,"p99":26.0,"max":31.0},"pauseMs":{"p50":4.5,"p99":6.0,"max":9.0},"pauseFloorMs":{"p50":4.0},\
            "dirtyPages":{"p50":50.0,"max":120.0},"linkBytes":123456,"journal":{"epochs":100,"bytes":4096},""";

    @Test
    void shouldWriteTheFailoverWhenTheVmWasKilled() throws Exception {
        DemoReport report = report(
                "vm",
                new DemoReport.Failover(2.0, 20.5, 23.0),
                new DemoReport.Client(
                        1_234,
                        0,
                        0,
                        new DemoReport.MedianAndTail(3.5, 9.25),
                        new DemoReport.MedianAndTail(0.5, 0.75),
                        231.5),
                List.of(new DemoReport.Disk("log", 64 << 20, 812.5, true)),
                null);

        assertThat(compact(report))
                .isEqualTo("{\"guest\":\"micro\",\"kill\":\"vm\"," + COMMON
                        + "\"failover\":{\"detectMs\":2.0,\"resumeMs\":20.5,\"totalMs\":23.0},"
                        + "\"guestState\":{\"ticksBefore\":900,\"ticksAfter\":300,\"verified\":true},"
                        + "\"client\":{\"acks\":1234,\"lost\":0,\"contradicted\":0,\"roundTripMs\":{\"p50\":3.5,\"p99\":9.25},"
                        + "\"unprotectedRoundTripMs\":{\"p50\":0.5,\"p99\":0.75},\"gapMs\":231.5},"
                        + "\"disks\":[{\"name\":\"log\",\"bytes\":67108864,\"syncMs\":812.5,\"verified\":true}]}");
    }

    @Test
    void shouldWriteTheAgentsRestartWhenTheAgentWasKilled() throws Exception {
        DemoReport report = report("agent", null, null, List.of(), new DemoReport.AgentRestart(0.5, false));

        assertThat(compact(report))
                .isEqualTo("{\"guest\":\"micro\",\"kill\":\"agent\"," + COMMON
                        + "\"failover\":null,\"guestState\":{\"ticksBefore\":900,\"ticksAfter\":300,\"verified\":true},"
                        + "\"disks\":[],\"agentRestart\":{\"vmPausedMsMax\":0.5,\"fullCopy\":false}}");
    }

    private static String compact(DemoReport report) throws Exception {
        return new ObjectMapper().readTree(DemoOutput.json(report)).toString();
    }

    private static DemoReport report(
            String kill,
            DemoReport.@Nullable Failover failover,
            DemoReport.@Nullable Client client,
            List<DemoReport.Disk> disks,
            DemoReport.@Nullable AgentRestart restart) {
        return new DemoReport(
                "micro",
                kill,
                64 << 20,
                "userfaultfd-wp",
                new DemoReport.Copy(65 << 20, 150.5),
                400,
                new Quantiles(25, 26, 31),
                new Quantiles(4.5, 6, 9),
                new DemoReport.Median(4),
                new DemoReport.MedianAndMax(50, 120),
                123_456,
                new DemoReport.Journal(100, 4096),
                failover,
                new DemoReport.GuestState(900, 300, true),
                client,
                disks,
                restart);
    }
}
