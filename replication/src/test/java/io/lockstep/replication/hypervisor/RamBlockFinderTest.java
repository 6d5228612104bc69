package io.lockstep.replication.hypervisor;

import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.assertj.core.api.Assertions.assertThat;

import io.lockstep.linux.NativeBlock;
import io.lockstep.linux.RemoteMemory;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

class RamBlockFinderTest {
    /** Puts a word into the guest's memory at reset, where no firmware shadows it: what is compared there is not zero on both sides. */
    private static final String LOADER = "loader,data=0x4c6f636b73746570,data-len=8,addr=";

    /** Stops the VM: its firmware would write between two readings of the same memory. */
    private static Map<String, HostRamBlock> find(TestVm vm, QmpConnection qmp) throws Exception {
        qmp.execute("stop");
        return new RamBlockFinder(qmp, vm.pid())
                .find().stream().collect(Collectors.toMap(b -> b.block().name(), Function.identity()));
    }

    /** That the word is there, and that QEMU reads the same around it. */
    private static void assertSame(TestVm vm, QmpConnection qmp, HostRamBlock block, long offset, long physical)
            throws Exception {
        byte[] bytes = read(vm, block.hostAddress() + offset, 65536);
        assertThat(ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).getLong())
                .isEqualTo(0x4c6f636b73746570L);
        assertThat(bytes).isEqualTo(memory(vm, qmp, physical, 65536));
    }

    private static byte[] read(TestVm vm, long address, int length) throws Exception {
        NativeBlock block = new NativeBlock(length);
        new RemoteMemory(vm.pid()).read(address, block.address(), length);
        byte[] bytes = new byte[length];
        block.buffer().get(0, bytes);
        return bytes;
    }

    private static byte[] memory(TestVm vm, QmpConnection qmp, long physical, int length) throws Exception {
        Path file = vm.directory().resolve("memory");
        qmp.execute("pmemsave", Map.of("val", physical, "size", length, "filename", file.toString()));
        return Files.readAllBytes(file);
    }

    private static void awaitFirmware(QmpConnection qmp) {
        Awaitility.await().atMost(20, TimeUnit.SECONDS).until(() -> qmp.hmp("info mtree -f")
                .contains("vga.vram"));
    }

    @Test
    void shouldReadAddressesWhenQemuTellsThem() {
        List<RamBlockFinder.Listed> blocks = RamBlockFinder.parseBlocks("""
                              Block Name    PSize              Offset               Used              Total                HVA  RO
                                  pc.ram    4 KiB  0x0000000000000000 0x0000000004000000 0x0000000004000000 0x00007f0e2be00000  rw
                                 ram big    2 MiB  0x0000000000000000 0x0000000004000000 0x0000000004000000 0x00007f0e2fe00000  ro
                """);
        assertThat(blocks)
                .containsExactly(
                        new RamBlockFinder.Listed("pc.ram", 4096, 0, 64 << 20, 64 << 20, 0x7f0e2be00000L),
                        new RamBlockFinder.Listed("ram big", 2 << 20, 0, 64 << 20, 64 << 20, 0x7f0e2fe00000L));
    }

    @Test
    @Tag("system")
    void shouldFindEveryBlockWhenSeveralRomsHaveOneSize() throws Exception {
        try (TestVm vm = TestVm.start(
                        "-machine",
                        "pc",
                        "-m",
                        "64",
                        "-vga",
                        "std",
                        "-nic",
                        "user,model=virtio-net-pci",
                        "-nic",
                        "user,model=e1000",
                        "-nic",
                        "user,model=virtio-net-pci",
                        "-nic",
                        "user,model=rtl8139",
                        "-device",
                        LOADER + (32 << 20));
                QmpConnection qmp = vm.connect()) {
            awaitFirmware(qmp);
            // What is read in two ways must not change in between.
            qmp.execute("stop");
            Map<String, HostRamBlock> blocks = find(vm, qmp);
            assertThat(blocks.keySet())
                    .contains(
                            "pc.ram",
                            "pc.bios",
                            "pc.rom",
                            "0000:00:02.0/vga.vram",
                            "0000:00:02.0/vga.rom",
                            "/rom@etc/acpi/tables",
                            "/rom@etc/table-loader",
                            "/rom@etc/acpi/rsdp",
                            "0000:00:03.0/virtio-net-pci.rom",
                            "0000:00:04.0/e1000.rom",
                            "0000:00:05.0/virtio-net-pci.rom",
                            "0000:00:06.0/rtl8139.rom");
            assertThat(blocks.get("pc.ram").block().main()).isTrue();
            assertThat(blocks.get("pc.bios").block().main()).isFalse();
            assertThat(blocks.get("pc.ram").block().lengthBytes()).isEqualTo(64 << 20);
            assertThat(blocks.get("pc.ram").shared()).isFalse();
            assertThat(blocks.values().stream().map(HostRamBlock::hostAddress).distinct())
                    .hasSameSizeAs(blocks.values());
            assertSame(vm, qmp, blocks.get("pc.ram"), 32 << 20, 32 << 20);
            assertThat(read(vm, blocks.get("pc.bios").hostAddress(), 262144))
                    .isEqualTo(memory(vm, qmp, 0xfffc0000L, 262144));
            // What the guest does not see is told by its content: PCI ROMs hold vendor and device, the ACPI blobs their
            // names.
            assertThat(romDevice(vm, blocks.get("0000:00:03.0/virtio-net-pci.rom")))
                    .isEqualTo(0x10001af4);
            assertThat(romDevice(vm, blocks.get("0000:00:05.0/virtio-net-pci.rom")))
                    .isEqualTo(0x10001af4);
            assertThat(romDevice(vm, blocks.get("0000:00:04.0/e1000.rom"))).isEqualTo(0x100e8086);
            assertThat(romDevice(vm, blocks.get("0000:00:06.0/rtl8139.rom"))).isEqualTo(0x813910ec);
            assertThat(romDevice(vm, blocks.get("0000:00:02.0/vga.rom"))).isEqualTo(0x11111234);
            assertThat(new String(read(vm, blocks.get("/rom@etc/acpi/rsdp").hostAddress(), 8), US_ASCII))
                    .isEqualTo("RSD PTR ");
            assertThat(new String(read(vm, blocks.get("/rom@etc/acpi/tables").hostAddress(), 4), US_ASCII))
                    .isEqualTo("FACS");
        }
    }

    /** Device and vendor of a PCI expansion ROM: its PCI data structure, found by the pointer at 0x18. */
    private static int romDevice(TestVm vm, HostRamBlock block) throws Exception {
        NativeBlock rom = new NativeBlock(65536);
        new RemoteMemory(vm.pid()).read(block.hostAddress(), rom.address(), 65536);
        int data = rom.buffer().getShort(0x18) & 0xffff;
        assertThat(rom.buffer().getInt(data)).as("PCIR in " + block).isEqualTo(0x52494350);
        return rom.buffer().getInt(data + 4);
    }

    @Test
    @Tag("system")
    void shouldFindFlashAndMemfdWhenVmHasThem() throws Exception {
        Path code = Path.of("/usr/share/OVMF/OVMF_CODE_4M.fd");
        Path vars = Path.of("/usr/share/OVMF/OVMF_VARS_4M.fd");
        Assumptions.assumeTrue(Files.exists(code), "package ovmf");
        try (TestVm vm = TestVm.start(
                        "-machine",
                        "q35,memory-backend=mem0",
                        "-m",
                        "128",
                        "-object",
                        "memory-backend-memfd,id=mem0,size=128M,share=on",
                        "-vga",
                        "std",
                        "-drive",
                        "if=pflash,format=raw,readonly=on,file=" + code,
                        "-drive",
                        "if=pflash,format=raw,snapshot=on,file=" + vars);
                QmpConnection qmp = vm.connect()) {
            Map<String, HostRamBlock> blocks = find(vm, qmp);
            assertThat(blocks.keySet()).contains("mem0", "system.flash0", "system.flash1");
            HostRamBlock main = blocks.get("mem0");
            assertThat(main.block().main()).isTrue();
            assertThat(main.shared()).isTrue();
            assertThat(main.fileOffset()).isZero();
            assertThat(Files.readSymbolicLink(main.file()).toString()).startsWith("/memfd:memory-backend-memfd");
            byte[] image = Files.readAllBytes(code);
            assertThat(read(vm, blocks.get("system.flash0").hostAddress(), image.length))
                    .isEqualTo(image);
        }
    }

    @Test
    @Tag("system")
    void shouldFindFileWhenMemoryHasOneUnderTwoNodes() throws Exception {
        try (TestVm vm = TestVm.start(
                        "-machine",
                        "pc",
                        "-m",
                        "64",
                        // Its firmware would start the second processor with code that it has just written, which QEMU
                        // before 8.1
                        // may translate too early.
                        "-accel",
                        "tcg,thread=single",
                        "-smp",
                        "2",
                        "-object",
                        "memory-backend-file,id=n0,size=32M,share=on,mem-path=@DIR@/n0",
                        "-object",
                        "memory-backend-ram,id=n1,size=32M",
                        "-numa",
                        "node,memdev=n0,cpus=0",
                        "-numa",
                        "node,memdev=n1,cpus=1",
                        "-device",
                        LOADER + (40 << 20));
                QmpConnection qmp = vm.connect()) {
            Map<String, HostRamBlock> blocks = find(vm, qmp);
            assertThat(blocks.get("n0").block().main()).isTrue();
            assertThat(blocks.get("n1").block().main()).isTrue();
            assertThat(blocks.get("n1").shared()).isFalse();
            assertThat(Files.readSymbolicLink(blocks.get("n0").file()))
                    .isEqualTo(vm.directory().resolve("n0"));
            assertSame(vm, qmp, blocks.get("n1"), 8 << 20, 40 << 20);
        }
    }

    @Test
    @Tag("system")
    void shouldTellPageSizeWhenMemoryIsHuge() throws Exception {
        Path setting = Path.of("/proc/sys/vm/nr_hugepages");
        int before = reserved(setting);
        Assumptions.assumeTrue(Files.isWritable(setting), "only root may reserve huge pages");
        try {
            // 64 MiB of 2 MiB pages, beside what others have reserved.
            reserve(setting, before + 32);
            Assumptions.assumeTrue(reserved(setting) == before + 32, "32 huge pages are free");
            try (TestVm vm = TestVm.start(
                            "-machine",
                            "q35,memory-backend=huge",
                            "-m",
                            "64",
                            "-object",
                            "memory-backend-memfd,id=huge,size=64M,share=on,hugetlb=on,hugetlbsize=2M",
                            "-device",
                            LOADER + (32 << 20));
                    QmpConnection qmp = vm.connect()) {
                HostRamBlock main = find(vm, qmp).get("huge");
                assertThat(main.block().pageBytes()).isEqualTo(2 << 20);
                assertThat(main.shared()).isTrue();
                assertSame(vm, qmp, main, 32 << 20, 32 << 20);
            }
        } finally {
            reserve(setting, before);
        }
    }

    /** In one large read(2): the kernel gives nothing at any other place than the first, and Files.readString asks for one byte first. */
    private static int reserved(Path setting) throws Exception {
        try (FileInputStream in = new FileInputStream(setting.toFile())) {
            return Integer.parseInt(new String(in.readAllBytes(), US_ASCII).trim());
        }
    }

    /** In one write(2), which is all that the kernel reads. */
    private static void reserve(Path setting, int pages) throws Exception {
        try (FileOutputStream out = new FileOutputStream(setting.toFile())) {
            out.write((pages + "\n").getBytes(US_ASCII));
        }
    }
}
