package io.lockstep.agent.system;

import static org.assertj.core.api.Assertions.assertThat;

import io.lockstep.agent.view.PauseParts;
import io.lockstep.agent.view.ProtectionStatus;
import io.lockstep.agent.view.VmSelector;
import io.lockstep.replication.hypervisor.QmpConnection;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.Locale;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** QEMU as it is met in the wild: what protection does with it, and that nothing of it is left in it afterwards. */
@Tag("system")
class AttachTest {
    private static final long GREETING_NS = 2_000_000_000L;
    private static final String MAIN = "q35,memory-backend=mem0";

    private static final String SANDBOX_OPTIONS =
            "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny";

    private static TwoHosts shared;

    /** How it was started, and what it is called by. */
    enum Variant {
        PRIVATE_MEMORY(VmSelector.Kind.PID),
        MEMFD(VmSelector.Kind.NAME),
        MEMORY_FILE(VmSelector.Kind.QMP),
        OTHER_USER(VmSelector.Kind.NAME),
        SANDBOX(VmSelector.Kind.QMP),
        SANDBOX_OF_OTHER_USER(VmSelector.Kind.PID);

        private final VmSelector.Kind kind;

        Variant(VmSelector.Kind kind) {
            this.kind = kind;
        }

        VmSelector selector(SystemVm vm, String name) {
            return new VmSelector(
                    kind,
                    switch (kind) {
                        case PID -> Long.toString(vm.pid());
                        case NAME -> name;
                        case QMP -> shared.directory().resolve(name + ".qmp").toString();
                    });
        }

        SystemVm.Boot boot(String name, Path directory) throws Exception {
            return switch (this) {
                case PRIVATE_MEMORY -> SystemVm.Boot.micro(name);
                case MEMFD ->
                    SystemVm.Boot.micro(
                            name, "-machine", MAIN, "-object", "memory-backend-memfd,id=mem0,size=64M,share=on");
                case MEMORY_FILE ->
                    SystemVm.Boot.micro(
                            name,
                            "-machine",
                            MAIN,
                            "-object",
                            "memory-backend-file,id=mem0,size=64M,share=on,mem-path=/dev/shm/"
                                    + directory.getFileName());
                case OTHER_USER -> asNobody(SystemVm.Boot.micro(name), directory);
                case SANDBOX -> SystemVm.Boot.micro(name, "-sandbox", SANDBOX_OPTIONS);
                case SANDBOX_OF_OTHER_USER ->
                    asNobody(SystemVm.Boot.micro(name, "-sandbox", SANDBOX_OPTIONS), directory);
            };
        }
    }

    @BeforeAll
    static void start() throws Exception {
        shared = new TwoHosts();
    }

    @AfterAll
    static void close() throws Exception {
        shared.close();
    }

    /** As libvirt does it: another user, who may read nothing of ours. */
    private static SystemVm.Boot asNobody(SystemVm.Boot boot, Path directory) throws Exception {
        Path kernel = Guests.file("micro.elf");
        Path readable = directory.resolve("micro.elf");
        Files.copy(kernel, readable, StandardCopyOption.REPLACE_EXISTING);
        List<String> options = boot.options().stream()
                .map(o -> o.equals(kernel.toString()) ? readable.toString() : o)
                .toList();
        return new SystemVm.Boot(boot.name(), boot.prefix(), options)
                .startedBy("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups");
    }

    @ParameterizedTest
    @EnumSource
    @Timeout(90)
    void shouldLeaveQemuAsFoundWhenUnprotected(Variant variant) throws Exception {
        TwoHosts hosts = shared;
        String name = variant.name().toLowerCase(Locale.ROOT);
        SystemVm vm = hosts.boot(variant.boot(name, hosts.directory()));
        Traces before = Traces.of(vm.pid());
        assertThat(before.watched()).isEmpty();

        ProtectionStatus status = hosts.a().protect(variant.selector(vm, name));
        assertThat(status.vm()).isEqualTo(name);
        assertThat(status.pid()).isEqualTo(vm.pid());
        hosts.a().awaitEpochs(name, 5);
        hosts.a().verify(name);
        assertThat(Traces.of(vm.pid()).watched()).isNotEmpty();
        vm.chain().awaitSweep();
        hosts.a().verify(name);

        PauseParts parts = hosts.a().protection(name).pauseParts();
        assertThat(List.of(
                        parts.stopMs(),
                        parts.deviceStateMs(),
                        parts.scanMs(),
                        parts.copyMs(),
                        parts.stateMs(),
                        parts.startMs()))
                .allSatisfy(part -> assertThat(part.max()).isPositive());

        hosts.a().unprotect(name);
        Waits.until("as before: " + before, 5, () -> Traces.of(vm.pid()).equals(before));
        try (QmpConnection other = QmpConnection.open(hosts.directory().resolve(name + ".qmp"), GREETING_NS)) {
            assertThat(other.execute("query-fdsets")).isEmpty();
            assertThat(other.execute("query-status").path("status").asText()).isEqualTo("running");
        }
        Waits.until("the end of the replica of " + name, 10, () -> hosts.b()
                .replica(name)
                .isEmpty());
        vm.chain().awaitSweep();

        hosts.a().protectWithStandby(vm.pid(), hosts.b());
        hosts.a().awaitEpochs(name, 5);
        hosts.a().verify(name);
        vm.kill();
        assertThat(hosts.b().awaitPromotion(name).reason()).isEqualTo("vm-died");
        vm.chain().awaitSweep();
    }

    @Test
    @Timeout(90)
    void shouldFailOverWhenTheMemoryIsOfHugePages() throws Exception {
        Path setting = Path.of("/proc/sys/vm/nr_hugepages");
        Assumptions.assumeTrue(Files.isWritable(setting), "only root may reserve huge pages");
        int before = reserved(setting);
        // Every page of 2 MiB in which the guest writes counts 512 pages: more than one hold copies without being drawn
        // out.
        try (TwoHosts hosts = new TwoHosts()) {
            // 64 MiB of 2 MiB pages, beside what others have reserved.
            reserve(setting, before + 32);
            Assumptions.assumeTrue(reserved(setting) == before + 32, "32 huge pages are free");
            SystemVm vm = hosts.boot(SystemVm.Boot.micro(
                    "huge",
                    "-machine",
                    MAIN,
                    "-object",
                    "memory-backend-memfd,id=mem0,size=64M,share=on,hugetlb=on,hugetlbsize=2M"));
            hosts.a().protectWithStandby(vm.pid(), hosts.b());
            hosts.a().awaitEpochs("huge", 5);
            hosts.a().verify("huge");
            vm.chain().awaitSweep();
            hosts.a().verify("huge");
            vm.kill();
            assertThat(hosts.b().awaitPromotion("huge").reason()).isEqualTo("vm-died");
            vm.chain().awaitSweep();
        } finally {
            reserve(setting, before);
        }
    }

    /** In one large read(2): the kernel gives nothing at any other place than the first, and Files.readString asks for one byte first. */
    private static int reserved(Path setting) throws Exception {
        try (FileInputStream in = new FileInputStream(setting.toFile())) {
            return Integer.parseInt(new String(in.readAllBytes(), StandardCharsets.US_ASCII).trim());
        }
    }

    /** In one write(2), which is all that the kernel reads. */
    private static void reserve(Path setting, int pages) throws Exception {
        try (FileOutputStream out = new FileOutputStream(setting.toFile())) {
            out.write((pages + "\n").getBytes(StandardCharsets.US_ASCII));
        }
    }
}
