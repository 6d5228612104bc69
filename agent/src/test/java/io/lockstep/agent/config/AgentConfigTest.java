package io.lockstep.agent.config;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.lockstep.agent.AgentPaths;
import io.lockstep.replication.LockstepException;
import io.lockstep.telemetry.health.HealthRules;
import io.lockstep.telemetry.sensor.SensorLimits;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class AgentConfigTest {
    private static final String FINGERPRINT_A = "sha256:" + "a".repeat(64);
    private static final String FINGERPRINT_B = "sha256:" + "b".repeat(64);

    @TempDir
    Path root;

    @Test
    void shouldUseDefaultsWhenThereIsNoFile() throws Exception {
        AgentConfig config = AgentConfig.load(AgentPaths.under(root));

        assertThat(config.listen()).isEqualTo(new AgentConfig.Listen("0.0.0.0", 7500));
        assertThat(config.epoch()).isEqualTo(new AgentConfig.Epoch(25, 2, 100, 20, 500, 30_000, 4, 8, true, "auto"));
        assertThat(config.pipeline()).isEqualTo(new AgentConfig.Pipeline(16_384, 64L << 20, 2, 2));
        assertThat(config.link()).isEqualTo(new AgentConfig.Link(50, 1000, 10_000, 200));
        assertThat(config.fence()).isEqualTo(new AgentConfig.Fence(List.of(), 30_000));
        assertThat(config.peers()).isEmpty();
        assertThat(config.vm("any"))
                .isEqualTo(
                        new AgentConfig.Vm(25, true, "auto", "lockstep", 0, List.of(), List.of(), Map.of(), Map.of()));
    }

    @Test
    void shouldKeepReplicasApartForEachRoot() throws Exception {
        Path here = AgentConfig.load(AgentPaths.under(root)).replica().directory();
        Path other =
                AgentConfig.load(AgentPaths.under(root.resolve("b"))).replica().directory();
        Path installed = AgentConfig.parse("f", "", AgentPaths.under(Path.of("/")))
                .replica()
                .directory();

        assertThat(here.toString()).matches("/dev/shm/lockstep-[0-9a-f]{8}").isNotEqualTo(other.toString());
        assertThat(installed).hasToString("/dev/shm/lockstep");
    }

    @Test
    void shouldReadEveryTable() throws Exception {
        AgentConfig config = parse("""
                [listen]
                port = 7501
                [epoch]
                epochMs = 10
                [peers.b]
                address = "[fd00::2]:7500"
                fingerprint = "%s"
                [fence]
                command = ["/usr/local/bin/fence", "now"]
                [vms."web.1"]
                preCopy = "off"
                tracker = "soft-dirty"
                standbyNetdevs = ["hostnet0", "tap,ifname=web1"]
                standbyReplacements = ["/dev/vg0/web", "/dev/vg1/web"]
                [vms."web.1".disks."/san/lun 0"]
                shared = true
                [vms."web.1".disks.virtio1]
                """.formatted(FINGERPRINT_B));

        assertThat(config.listen().port()).isEqualTo(7501);
        assertThat(config.peers()).isEqualTo(Map.of("b", new AgentConfig.Peer("fd00::2", 7500, FINGERPRINT_B)));
        assertThat(config.fence().command()).containsExactly("/usr/local/bin/fence", "now");
        assertThat(config.vm("web.1"))
                .isEqualTo(new AgentConfig.Vm(
                        10,
                        false,
                        "soft-dirty",
                        "lockstep",
                        0,
                        List.of("/san/lun 0"),
                        List.of(),
                        Map.of("hostnet0", "tap,ifname=web1"),
                        Map.of("/dev/vg0/web", "/dev/vg1/web")));
    }

    @Test
    void shouldNameTheNearestKeyWhenOneIsUnknown() {
        refuses(
                "[epoch]\nepochMs = 25\n  epochMS = 20\n",
                "agent.toml line 3, column 3: unknown key epochMS; the nearest is epochMs.");
        refuses(
                "[epochs]\nepochMs = 25\n",
                "agent.toml line 1, column 2: unknown table [epochs]; the nearest is [epoch].");
        refuses("port = 7500\n", "agent.toml line 1, column 1: unknown key port; the nearest is [epoch].");
        refuses(
                "[vms.\"a.b\"]\nstandbyCmd = []\n",
                "agent.toml line 2, column 1: unknown key standbyCmd; the nearest is standbyCommand.");
        refuses(
                "[vms.web.disks.root]\nshare = true\n",
                "agent.toml line 2, column 1: unknown key share; the nearest is shared.");
    }

    @Test
    void shouldRefuseWhatIsNoTableOfADisk() {
        refuses(
                "[vms.web.disks.root]\nshared = 1\n",
                "agent.toml line 2, column 1: shared is neither true nor false: 1.");
        refuses(
                "[vms.web]\ndisks = [\"root\"]\n",
                "agent.toml line 2, column 1: vms.web.disks is a value, and must be a table [vms.web.disks].");
        refuses(
                "[vms.web.disks]\nroot = true\n",
                "agent.toml line 2, column 1: vms.web.disks.root is a value, and must be a table [vms.web.disks.root].");
    }

    @Test
    void shouldRefuseValuesOfTheWrongKindOrRange() {
        refuses("[epoch]\nepochMs = 0\n", "agent.toml line 2, column 1: epochMs 0 is not in 1..10000.");
        refuses("[epoch]\nepochMs = \"25ms\"\n", "agent.toml line 2, column 1: epochMs is not an integer: \"25ms\".");
        refuses(
                "[epoch]\nepochMs = 99999999999999999999\n",
                "agent.toml line 2, column 1: epochMs 99999999999999999999 is not in 1..10000.");
        refuses("[listen]\naddress = 7\n", "agent.toml line 2, column 1: address is not a text in quotes: 7.");
        refuses(
                "[fence]\ncommand = \"reboot\"\n",
                "agent.toml line 2, column 1: command is not an array of texts: \"reboot\".");
        refuses(
                "[drill]\n  schedule = \"daily\"\n",
                "agent.toml line 2, column 3: schedule \"daily\" is none of \"HH:MM\", \"Sun HH:MM\" and a length such as \"6h\" of at"
                        + " least 10s and at most 366d.");
        refuses(
                "[replica]\ndirectory = \"replicas\"\n",
                "agent.toml line 2, column 1: directory \"replicas\" is no path from the root /.");
        refuses(
                "[replica]\ndirectory = \"/a\\u0000\"\n",
                "agent.toml line 2, column 1: directory \"/a\0\" is no path from the root /.");
        refuses("epoch = 3\n", "agent.toml line 1, column 1: epoch is a value, and must be a table [epoch].");
        refuses(
                "[epoch]\ntracker = \"dirty-log\"\n",
                "agent.toml line 2, column 1: tracker \"dirty-log\" is none of auto, userfaultfd-wp, soft-dirty, content-hash.");
    }

    @Test
    void shouldRefuseCombinationsThatCannotWork() {
        refuses(
                "[link]\nheartbeatMs = 600\n",
                "agent.toml line 2, column 1: failureTimeoutMs 1000 < 2 × heartbeatMs 600: one late heartbeat would count as a"
                        + " dead host.");
        refuses(
                "[epoch]\nscrubPagesPerEpoch = 109\n[pipeline]\nringSlots = 256\n",
                "agent.toml line 2, column 1: scrubPagesPerEpoch 109 > 108, for which a ring of ringSlots 256 has room beside the"
                        + " pages of a pause.");
        refuses(
                "[pipeline]\npageCacheBytes = 2147483649\n",
                "agent.toml line 2, column 1: pageCacheBytes 2147483649 > 2147483648, 1 GiB for each of encoderThreads 2.");
        refuses(
                "[pipeline]\nringSlots = 524288\n",
                "agent.toml line 2, column 1: ringSlots 524288 is not in 256..262144.");
        refuses(
                "[pipeline]\nringSlots = 5000\n",
                "agent.toml line 2, column 1: ringSlots 5000 is no power of two; the next one is 8192.");
        refuses(
                "[journal]\nbytesMax = 134217728\n",
                "agent.toml line 2, column 1: segmentBytes 67108864 > a quarter of bytesMax 134217728: too little would remain when"
                        + " a segment is dropped.");
        refuses(
                "[hardware]\ncpuMillivoltsMin = 1200\ncpuMillivoltsMax = 900\n",
                "agent.toml line 2, column 1: cpuMillivoltsMin 1200 >= cpuMillivoltsMax 900: every voltage would pass a limit.");
        refuses(
                "[vms.a]\nstandbyReplacements = [\"x\"]\n",
                "agent.toml line 2, column 1: standbyReplacements has 1 texts, and must have pairs.");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "host-b",
                "host-b:",
                "host-b:0",
                "host-b:65536",
                "host-b:x",
                ":7500",
                " :7500",
                "::1:7500",
                "[]:7500",
                "[::1]",
                "a b:7500"
            })
    void shouldRefusePeersWithoutHostAndPort(String address) {
        refuses(
                "[peers.b]\naddress = \"" + address + "\"\nfingerprint = \"" + FINGERPRINT_B + "\"\n",
                "agent.toml line 2, column 1: address \"" + address
                        + "\" is not a host, a colon and a port in 1..65535.");
        refuses(
                "[metrics]\naddress = \"" + address + "\"\n",
                "agent.toml line 2, column 1: address \"" + address
                        + "\" is not a host, a colon and a port in 1..65535.");
    }

    @Test
    void shouldRefusePeersThatAreNotPinned() {
        refuses("[peers.b]\naddress = \"b:1\"\n", "agent.toml line 1, column 2: [peers.b] has no fingerprint.");
        refuses(
                "[peers.b]\naddress = \"b:1\"\nfingerprint = \"ab:cd\"\n",
                "agent.toml line 3, column 1: fingerprint \"ab:cd\" is not sha256: and 64 lower-case hexadecimal digits.");
        String twice = "address = \"b:1\"\nfingerprint = \"" + FINGERPRINT_A + "\"\n";
        refuses(
                "[peers.b]\n" + twice + "[peers.c]\n" + twice,
                "agent.toml line 6, column 1: peer c has the fingerprint of peer b: each host has its own.");
    }

    @Test
    void shouldSayWhereTheFileIsNotToml() {
        refuses(
                "\uFEFF[epoch]\n",
                "agent.toml line 1, column 1: a byte order mark. Save the file as UTF-8 without one.");
        refuses(
                "[epoch]\nepochMs = 1\nmaxEpochMs = 50\n  epochMs = 2 # again\n\n",
                "agent.toml line 4, column 3: epoch.epochMs stands twice, first at line 2, column 1. Remove one of them.");
    }

    @Test
    void shouldRefuseAFileThatIsTooLarge() throws Exception {
        AgentPaths paths = AgentPaths.under(root);
        Files.createDirectories(paths.configuration().getParent());
        Files.writeString(paths.configuration(), "#".repeat(AgentConfig.FILE_BYTES_MAX + 1));

        assertThatThrownBy(() -> AgentConfig.load(paths))
                .hasMessage(paths.configuration() + " has 4194305 bytes > 4194304.");
    }

    @Test
    void shouldTellWhereAFileIsNoUtf8() throws Exception {
        AgentPaths paths = AgentPaths.under(root);
        Files.createDirectories(paths.configuration().getParent());
        Files.writeString(paths.configuration(), "# ü\n[epoch]\nepochMs = 1 # für\n", StandardCharsets.ISO_8859_1);
        assertThatThrownBy(() -> AgentConfig.load(paths))
                .hasMessage(
                        paths.configuration() + " line 1, column 3: byte 0xfc is no UTF-8. Save the file as UTF-8.");
        Files.writeString(paths.configuration(), "# ü\n[epoch]\nepochMs = 1 # f");
        Files.write(paths.configuration(), new byte[] {(byte) 0xc3}, StandardOpenOption.APPEND);
        assertThatThrownBy(() -> AgentConfig.load(paths))
                .hasMessage(
                        paths.configuration() + " line 3, column 16: byte 0xc3 is no UTF-8. Save the file as UTF-8.");
    }

    @Test
    void shouldRefuseALinkToNoFile() throws Exception {
        AgentPaths paths = AgentPaths.under(root);
        Files.createDirectories(paths.configuration().getParent());
        Files.createSymbolicLink(paths.configuration(), Path.of("gone.toml"));

        assertThatThrownBy(() -> AgentConfig.load(paths))
                .hasMessage(paths.configuration() + " is a link to what is not there. Correct the link, or remove it.");
    }

    @Test
    void shouldInstallTheDefaultFileThatTheKeysDescribe() throws Exception {
        Path installed = Path.of(System.getProperty("lockstep.project", ".."), "agent/config/agent.toml");

        assertThat(installed).hasContent(DefaultFile.text());
        String allKeys = DefaultFile.text().replaceAll("(?m)^#(?=[\\[a-zA-Z])", "");
        AgentConfig explicit = parse(allKeys);
        AgentConfig defaults = parse(DefaultFile.text());
        assertThat(explicit.epoch()).isEqualTo(defaults.epoch());
        assertThat(explicit.journal()).isEqualTo(defaults.journal());
        assertThat(explicit.link()).isEqualTo(defaults.link());
        assertThat(explicit.pipeline()).isEqualTo(defaults.pipeline());
        assertThat(explicit.replica()).isEqualTo(defaults.replica());
        assertThat(explicit.hardware()).isEqualTo(defaults.hardware());
        assertThat(defaults.hardware().rules()).isEqualTo(HealthRules.DEFAULT);
        assertThat(defaults.sensors()).isEqualTo(SensorLimits.DEFAULT);
        assertThat(defaults.hardware().switchover()).isEqualTo("dry-run");
        assertThat(explicit.peers()).containsOnlyKeys("host-b");
        assertThat(explicit.vms()).containsOnlyKeys("web1");
    }

    private AgentConfig parse(String text) throws LockstepException {
        return AgentConfig.parse("agent.toml", text, AgentPaths.under(root));
    }

    private void refuses(String text, String message) {
        assertThatThrownBy(() -> parse(text)).isInstanceOfSatisfying(LockstepException.class, e -> {
            assertThat(e.code()).isEqualTo("configuration-invalid");
            assertThat(e).hasMessage(message);
        });
    }
}
