package io.lockstep.telemetry.inventory;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.reflect.Proxy;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import org.junit.jupiter.api.Test;
import oshi.SystemInfo;
import oshi.hardware.Baseboard;
import oshi.hardware.ComputerSystem;
import oshi.hardware.Firmware;
import oshi.hardware.GlobalMemory;
import oshi.hardware.HardwareAbstractionLayer;
import oshi.hardware.PhysicalMemory;
import oshi.hardware.Sensors;

class OshiInventoryTest {
    private static final HardwareAbstractionLayer THIS_HOST = new SystemInfo().getHardware();

    /** An object that answers the named getters, and all others as the real one does. */
    private static <T> T with(Class<T> type, T real, Map<String, Object> answers) {
        return type.cast(Proxy.newProxyInstance(
                type.getClassLoader(),
                new Class<?>[] {type},
                (proxy, method, arguments) -> answers.containsKey(method.getName())
                        ? answers.get(method.getName())
                        : method.invoke(real, arguments)));
    }

    @Test
    void shouldDescribeThisHost() {
        Inventory inventory = new OshiInventory(THIS_HOST, () -> 42).read();
        assertThat(inventory.wallMs()).isEqualTo(42);
        assertThat(inventory.memoryBytes()).isGreaterThan(64L << 20);
        assertThat(inventory.processor().cpus())
                .isGreaterThanOrEqualTo(Runtime.getRuntime().availableProcessors());
        assertThat(inventory.processor().cores())
                .isBetween(1, inventory.processor().cpus());
        assertThat(inventory.processor().sockets())
                .isBetween(1, inventory.processor().cores());
        assertThat(inventory.nics()).extracting(Inventory.Nic::name).doesNotContain("lo");
        // Whatever this host does not tell is said to be absent, and nothing else is.
        assertThat(inventory.absent().contains(OshiInventory.NO_DIMMS))
                .isEqualTo(inventory.dimms().isEmpty());
        assertThat(inventory.absent().contains(OshiInventory.NO_TEMPERATURE))
                .isEqualTo(inventory.sensors().cpuCelsius().isEmpty());
        assertThat(inventory.absent().contains(OshiInventory.NO_FANS))
                .isEqualTo(inventory.sensors().fansRpm().isEmpty());
        assertThat(inventory.absent().contains(OshiInventory.NO_VOLTAGE))
                .isEqualTo(inventory.sensors().cpuVolts().isEmpty());
    }

    @Test
    void shouldSayWhatIsAbsentWhenTheHostTellsNothing() {
        Sensors sensors = with(
                Sensors.class,
                THIS_HOST.getSensors(),
                Map.of("getCpuTemperature", 0.0, "getFanSpeeds", new int[0], "getCpuVoltage", 0.0));
        GlobalMemory memory = with(GlobalMemory.class, THIS_HOST.getMemory(), Map.of("getPhysicalMemory", List.of()));
        Inventory inventory =
                new OshiInventory(host(board("unknown", "Not Specified", " "), memory, sensors), () -> 0).read();
        assertThat(inventory.board())
                .isEqualTo(new Inventory.Board(
                        Optional.empty(),
                        Optional.empty(),
                        Optional.empty(),
                        Optional.empty(),
                        Optional.empty(),
                        Optional.empty(),
                        Optional.empty()));
        assertThat(inventory.sensors())
                .isEqualTo(new Inventory.Sensors(OptionalDouble.empty(), List.of(), OptionalDouble.empty()));
        assertThat(inventory.absent())
                .containsExactly(
                        OshiInventory.NO_BOARD,
                        OshiInventory.NO_DIMMS,
                        OshiInventory.NO_TEMPERATURE,
                        OshiInventory.NO_FANS,
                        OshiInventory.NO_VOLTAGE);
    }

    @Test
    void shouldKeepWhatIsThereWhenTheHostTellsEverything() {
        Sensors sensors = with(
                Sensors.class,
                THIS_HOST.getSensors(),
                Map.of("getCpuTemperature", 51.5, "getFanSpeeds", new int[] {1200, 0}, "getCpuVoltage", 1.1));
        PhysicalMemory module =
                new PhysicalMemory("BANK 0/DIMM_A1", 16L << 30, 3_200_000_000L, "Maker", "DDR4", "PART-1", "unknown");
        PhysicalMemory empty = new PhysicalMemory("BANK 1/DIMM_A2", 0, 0, "unknown", "unknown", "unknown", "unknown");
        GlobalMemory memory =
                with(GlobalMemory.class, THIS_HOST.getMemory(), Map.of("getPhysicalMemory", List.of(module, empty)));
        Inventory inventory = new OshiInventory(host(board("Vendor", "Model", "1.2"), memory, sensors), () -> 0).read();
        assertThat(inventory.absent()).isEmpty();
        assertThat(inventory.board().systemVendor()).contains("Vendor");
        assertThat(inventory.board().boardModel()).contains("Model");
        assertThat(inventory.board().firmwareVersion()).contains("1.2");
        assertThat(inventory.sensors().cpuCelsius()).hasValue(51.5);
        assertThat(inventory.sensors().fansRpm()).containsExactly(1200, 0);
        assertThat(inventory.dimms()).singleElement().satisfies(dimm -> {
            assertThat(dimm.slot()).contains("BANK 0/DIMM_A1");
            assertThat(dimm.bytes()).isEqualTo(16L << 30);
            assertThat(dimm.hertz()).hasValue(3_200_000_000L);
            assertThat(dimm.serialNumber()).isEmpty();
        });
    }

    private static HardwareAbstractionLayer host(ComputerSystem system, GlobalMemory memory, Sensors sensors) {
        return with(
                HardwareAbstractionLayer.class,
                THIS_HOST,
                Map.of("getComputerSystem", system, "getMemory", memory, "getSensors", sensors));
    }

    private static ComputerSystem board(String vendor, String model, String version) {
        ComputerSystem real = THIS_HOST.getComputerSystem();
        Baseboard baseboard =
                with(Baseboard.class, real.getBaseboard(), Map.of("getManufacturer", vendor, "getModel", model));
        Firmware firmware = with(
                Firmware.class,
                real.getFirmware(),
                Map.of("getManufacturer", vendor, "getVersion", version, "getReleaseDate", version));
        return with(
                ComputerSystem.class,
                real,
                Map.of(
                        "getManufacturer", vendor,
                        "getModel", model,
                        "getBaseboard", baseboard,
                        "getFirmware", firmware));
    }
}
