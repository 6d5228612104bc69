package io.lockstep.agent.doctor;

import static org.assertj.core.api.Assertions.assertThat;

import io.lockstep.agent.AgentPaths;
import io.lockstep.agent.FakeOperations;
import io.lockstep.agent.config.AgentConfig;
import io.lockstep.agent.view.DryRun;
import io.lockstep.agent.view.ProtectRequest;
import io.lockstep.replication.LockstepException;
import io.lockstep.replication.link.Identity;
import io.lockstep.replication.memory.TrackerProbe;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class HostDoctorTest {
    @TempDir
    Path root;

    @Test
    void shouldMakeEveryCheckOnThisHost() throws Exception {
        AgentPaths paths = AgentPaths.under(root);
        AgentConfig config = AgentConfig.load(paths);

        List<Finding> findings = new HostDoctor(paths, config, new FakeOperations()).examine();

        assertThat(findings)
                .extracting(Finding::check)
                .containsExactly(
                        "kernel-version",
                        "vm-overcommit",
                        "tracker-userfaultfd-wp",
                        "tracker-soft-dirty",
                        "tracker-content-hash",
                        "cap-sys-ptrace",
                        "yama-ptrace-scope",
                        "pidfd-getfd",
                        "jdk",
                        "qemu",
                        "kvm",
                        "replica-memory",
                        "agent",
                        "identity",
                        "peers",
                        "fence",
                        "vm");
        assertThat(findings).allSatisfy(finding -> assertThat(finding.cure().isEmpty())
                .isEqualTo(finding.status() == Finding.Status.OK));
        assertThat(findings.get(findings.size() - 1))
                .isEqualTo(new Finding(
                        "vm", "web1", Finding.Status.OK, "QEMU 7.2.0, 256 MiB, can be protected with soft-dirty", ""));
    }

    @Test
    void shouldReportAnOldKernelAndStrictSettings() throws Exception {
        file("proc/sys/kernel/osrelease", "5.14.0-503.el9.x86_64");
        file("proc/sys/vm/overcommit_memory", "2");
        file("proc/sys/kernel/yama/ptrace_scope", "3");
        file("proc/self/status", "Name:\tjava\nCapEff:\t0000000000000000\n");
        List<Finding> findings = new ArrayList<>();
        new KernelChecks(new Procfs(root)).examine(findings);
        new PrivilegeChecks(new Procfs(root)).examine(findings);

        assertThat(findings)
                .startsWith(
                        Finding.warning(
                                "kernel-version",
                                "Linux 5.14.0-503.el9.x86_64 < 6.7: no asynchronous userfaultfd write protection and no"
                                        + " PAGEMAP_SCAN",
                                "Use Linux 6.7 or newer; until then soft-dirty bits are used, or, without those, hashes."),
                        Finding.warning(
                                "vm-overcommit",
                                "vm.overcommit_memory is 2: a standby may get no memory although there is some",
                                "sysctl vm.overcommit_memory=0, or raise vm.overcommit_ratio."),
                        Finding.missing(
                                "cap-sys-ptrace",
                                "this process has no CAP_SYS_PTRACE: QEMUs of other users are closed to it",
                                "Run the agent as root, or give it CAP_SYS_PTRACE (AmbientCapabilities= in its unit)."),
                        Finding.missing(
                                "yama-ptrace-scope",
                                "kernel.yama.ptrace_scope is 3: nobody may ptrace, until the next boot",
                                "Set kernel.yama.ptrace_scope to 2 or less in /etc/sysctl.d and boot again."));
    }

    @Test
    void shouldAcceptANewKernelAndAPrivilegedProcess() throws Exception {
        file("proc/sys/kernel/osrelease", "6.7.0");
        file("proc/sys/kernel/yama/ptrace_scope", "1");
        file("proc/self/status", "CapEff:\t0000000000080000\n");
        List<Finding> findings = new ArrayList<>();
        new KernelChecks(new Procfs(root)).examine(findings);
        new PrivilegeChecks(new Procfs(root)).examine(findings);

        assertThat(findings).extracting(Finding::status).containsOnly(Finding.Status.OK);
    }

    @Test
    void shouldReportAMissingQemu() {
        List<Finding> findings = new ArrayList<>();
        new SoftwareChecks(root.toString()).examine(findings);

        assertThat(findings)
                .contains(Finding.missing(
                        "qemu",
                        "no qemu-system-x86_64 or qemu-kvm in " + root + ": no standby can be started here",
                        "Install qemu-system-x86 (Debian, Ubuntu) or qemu-kvm (RHEL)."));
    }

    @Test
    void shouldWarnOfASlowerTrackerAndMissAllOfThem() {
        List<Finding> slower = new ArrayList<>();
        new TrackerChecks(List.of(
                        new TrackerProbe("userfaultfd-wp", false, "too old"),
                        new TrackerProbe("soft-dirty", true, "8 bytes a page"),
                        new TrackerProbe("content-hash", false, "no")))
                .examine(slower);
        List<Finding> none = new ArrayList<>();
        new TrackerChecks(List.of(new TrackerProbe("content-hash", false, "no right"))).examine(none);

        assertThat(slower)
                .containsExactly(
                        Finding.warning(
                                "tracker-userfaultfd-wp",
                                "too old",
                                "Cure what is named; until then a slower tracker is used, whose pauses are longer."),
                        Finding.ok("tracker-soft-dirty", "works; 8 bytes a page"),
                        Finding.ok("tracker-content-hash", "not needed, and not there: no"));
        assertThat(none)
                .containsExactly(Finding.missing(
                        "tracker-content-hash", "no right", "Cure what is named: no tracker works here."));
    }

    @Test
    void shouldReportAVmThatWouldBeRefusedWithTheRefusal() {
        List<Finding> findings = new ArrayList<>();
        new VmChecks(new FakeOperations() {
                    @Override
                    public DryRun dryRun(ProtectRequest request) throws LockstepException {
                        throw new LockstepException("device-nvme", "The VM has an NVMe device. Use virtio-blk.");
                    }
                })
                .examine(findings);

        assertThat(findings)
                .containsExactly(Finding.missing("vm", "device-nvme", "The VM has an NVMe device. Use virtio-blk.")
                        .about("web1"));
    }

    @Test
    void shouldBeContentWithAnAgentThatIsSetUp() throws Exception {
        AgentPaths paths = AgentPaths.under(root);
        String fingerprint = Identity.openOrCreate(paths.identity()).fingerprint();
        AgentConfig config = AgentConfig.parse(
                "f",
                "[peers.b]\naddress = \"b:1\"\nfingerprint = \"sha256:" + "b".repeat(64)
                        + "\"\n[fence]\ncommand = [\"/bin/true\"]\n",
                paths);
        List<Finding> findings = new ArrayList<>();
        new AgentChecks(paths, config, true).examine(findings);

        assertThat(findings)
                .containsExactly(
                        Finding.ok("agent", "the agent answers at " + paths.socket()),
                        Finding.ok("identity", fingerprint),
                        Finding.ok("peers", "b"),
                        Finding.ok("fence", "/bin/true"));
    }

    private void file(String path, String content) throws Exception {
        Path file = root.resolve(path);
        Files.createDirectories(file.getParent());
        Files.writeString(file, content);
    }
}
