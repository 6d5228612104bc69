package io.lockstep.agent.doctor;

import static org.assertj.core.api.Assertions.assertThat;

import io.lockstep.agent.AgentPaths;
import io.lockstep.agent.FakeOperations;
import io.lockstep.agent.config.AgentConfig;
import io.lockstep.agent.view.DryRun;
import io.lockstep.agent.view.ProtectRequest;
import io.lockstep.agent.view.Role;
import io.lockstep.agent.view.VmSummary;
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

        // How many settings hide events of the hardware differs from host to host.
        assertThat(findings).anyMatch(finding -> finding.check().startsWith("hardware-"));
        assertThat(findings)
                .extracting(Finding::check)
                .filteredOn(check -> !check.startsWith("hardware-"))
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
                        "configuration",
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
    void shouldWarnOfADomainThatLibvirtStartsAgainAfterAFailover() throws Exception {
        file("run/libvirt/qemu/web1.pid", "4711");
        LibvirtChecks checks = new LibvirtChecks(root);
        List<Finding> findings = new ArrayList<>();
        checks.examine("web1", 4712, findings);
        checks.examine("web2", 4711, findings);
        assertThat(findings).isEmpty();

        checks.examine("web1", 4711, findings);
        file("etc/libvirt/qemu/autostart/web1.xml", "");
        checks.examine("web1", 4711, findings);

        assertThat(findings)
                .containsExactly(
                        Finding.ok("libvirt", "a domain, not started by itself when this host boots")
                                .about("web1"),
                        Finding.warning(
                                        "libvirt",
                                        "libvirt starts domain web1 when this host boots ("
                                                + root.resolve("etc/libvirt/qemu/autostart/web1.xml")
                                                + "): after a failover it would run here and on the peer",
                                        "virsh autostart --disable web1.")
                                .about("web1"));
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
        new VmChecks(
                        new FakeOperations() {
                            @Override
                            public DryRun dryRun(ProtectRequest request) throws LockstepException {
                                throw new LockstepException(
                                        "device-nvme", "The VM has an NVMe device. Use virtio-blk.");
                            }
                        },
                        new LibvirtChecks(root))
                .examine(findings);

        assertThat(findings)
                .containsExactly(Finding.missing("vm", "The VM has an NVMe device (device-nvme)", "Use virtio-blk.")
                        .about("web1"));
    }

    @Test
    void shouldReportAConfigurationThatKeepsTheAgentFromStarting() throws Exception {
        AgentPaths paths = AgentPaths.under(root);
        file("etc/lockstep/agent.toml", "[epoch]\nepochMS = 25\n");

        assertThat(HostDoctor.withoutAgent(paths).examine())
                .filteredOn(finding -> finding.check().equals("configuration"))
                .containsExactly(Finding.missing(
                        "configuration",
                        "configuration-invalid",
                        paths.configuration() + " line 2, column 1: unknown key epochMS; the nearest is epochMs."));
    }

    @Test
    void shouldKnowAnotherAgentsStandby() {
        List<Finding> findings = new ArrayList<>();
        new VmChecks(
                        new FakeOperations() {
                            @Override
                            public List<VmSummary> vms() {
                                return List.of(new VmSummary(
                                        7,
                                        "web1",
                                        "/b/run/lockstep/standby/web1/qemu/standby.qmp",
                                        1,
                                        "tcg",
                                        0,
                                        Role.NONE,
                                        VmSummary.OTHER_AGENT));
                            }
                        },
                        new LibvirtChecks(root))
                .examine(findings);

        assertThat(findings)
                .containsExactly(Finding.ok(
                                "vm",
                                "pid 7 was started as a standby by another agent on this host"
                                        + " (/b/run/lockstep/standby/web1/qemu/standby.qmp)")
                        .about("web1"));
    }

    @Test
    void shouldWarnOfWhatOnlyPrivilegeAndAnUnknownKernelLack() throws Exception {
        file("proc/sys/kernel/osrelease", "custom");
        file("proc/sys/kernel/yama/ptrace_scope", "1");
        file("proc/self/status", "CapEff:\t0000000000000000\n");
        List<Finding> findings = new ArrayList<>();
        new KernelChecks(new Procfs(root)).examine(findings);
        new PrivilegeChecks(new Procfs(root)).examine(findings);

        assertThat(findings)
                .contains(
                        Finding.warning(
                                "kernel-version",
                                "Linux custom has no version that is understood",
                                "Use Linux 6.7 or newer."),
                        Finding.missing(
                                "yama-ptrace-scope",
                                "kernel.yama.ptrace_scope is 1: only with CAP_SYS_PTRACE",
                                "Run the agent as root, or give it CAP_SYS_PTRACE (AmbientCapabilities= in its unit)."));
    }

    @Test
    void shouldReportCapacityThatIsNotThere() {
        List<Finding> findings = new ArrayList<>();
        new CapacityChecks(new Procfs(root), Path.of("/proc/none")).examine(findings);

        assertThat(findings)
                .containsExactly(
                        Finding.warning(
                                "kvm",
                                "there is no /dev/kvm: a VM that runs with KVM cannot be resumed here",
                                "Load kvm_intel or kvm_amd; switch virtualization on in the firmware, or nested virtualization in"
                                        + " the host."),
                        Finding.missing(
                                "replica-memory",
                                "/proc/none (proc) has 0 MiB free of 0 MiB < 256 MiB: no replica fits",
                                "mount -o remount,size=SIZE /dev/shm, or set replica.directory to another tmpfs or"
                                        + " hugetlbfs."));
    }

    @Test
    void shouldWarnOfAnAgentThatHasNoPeerNoFenceAndDoesNotRun() throws Exception {
        AgentPaths paths = AgentPaths.under(root);
        List<Finding> findings = new ArrayList<>();
        new AgentChecks(paths, AgentConfig.load(paths), false, null).examine(findings);

        assertThat(findings)
                .contains(
                        Finding.warning(
                                "agent",
                                "no agent answers at " + paths.socket()
                                        + ": these are the findings of this command's own process",
                                "lockstep agent --supervised, or systemctl start lockstep-agent."),
                        Finding.missing(
                                "identity",
                                "no identity at " + paths.identity().resolve("identity.p12") + " (identity-missing)",
                                "Run 'lockstep identity' to create it."),
                        Finding.warning(
                                "peers",
                                "no [peers.NAME] in " + paths.configuration() + ": nobody to protect VMs to or from",
                                "Add the other host's address and what 'lockstep identity' prints there."),
                        Finding.warning(
                                "fence",
                                "no fence.command in " + paths.configuration()
                                        + ": a silent host's VMs wait for 'lockstep failover'",
                                "Set it to a command that makes sure that the other host is off, e.g. one of fence-agents."));
    }

    @Test
    void shouldBeContentWithAnAgentThatIsSetUp() throws Exception {
        AgentPaths paths = AgentPaths.under(root);
        String fingerprint = Identity.openOrCreate(paths.identity()).fingerprint();
        AgentConfig config = AgentConfig.parse(
                "f",
                "[peers.b]\naddress = \"b:1\"\nfingerprint = \"sha256:" + "b".repeat(64)
                        + "\"\n[fence]\ncommand = [\"/bin/true\", \"-p\", \"secret\"]\n",
                paths);
        List<Finding> findings = new ArrayList<>();
        new AgentChecks(paths, config, true, null).examine(findings);

        assertThat(findings)
                .containsExactly(
                        Finding.ok("agent", "the agent answers at " + paths.socket()),
                        Finding.warning(
                                "configuration",
                                "there is no " + paths.configuration()
                                        + ": everything has its default, and there is no peer",
                                "Begin with agent/config/agent.toml of the source tree, which has every key with its default."),
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
