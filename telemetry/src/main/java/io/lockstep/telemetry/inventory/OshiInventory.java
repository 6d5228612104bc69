package io.lockstep.telemetry.inventory;

import io.lockstep.telemetry.inventory.Inventory.Board;
import io.lockstep.telemetry.inventory.Inventory.Dimm;
import io.lockstep.telemetry.inventory.Inventory.Nic;
import io.lockstep.telemetry.inventory.Inventory.Processor;
import io.lockstep.telemetry.inventory.Inventory.Sensors;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.function.LongSupplier;
import java.util.stream.Stream;
import oshi.hardware.CentralProcessor;
import oshi.hardware.ComputerSystem;
import oshi.hardware.HardwareAbstractionLayer;
import oshi.hardware.NetworkIF;
import oshi.hardware.PhysicalMemory;

/**
 * The inventory through OSHI, which reads sysfs and procfs, and runs dmidecode for the memory modules. OSHI says {@code unknown}, 0 or an empty
 * list for what it could not read; here that is absent. For one thread.
 */
public final class OshiInventory implements InventorySource {
    static final String NO_BOARD =
            "The mainboard is absent: the kernel gives no DMI tables at /sys/class/dmi/id. A virtual"
                    + " machine or a container may have none.";
    static final String NO_DIMMS =
            "Memory modules are absent: dmidecode gave none. Install the package dmidecode and run the"
                    + " agent as root; a virtual machine may have none.";
    static final String NO_TEMPERATURE = "The processor's temperature is absent: no sensor at /sys/class/hwmon or"
            + " /sys/class/thermal. Load the sensor's driver (sensors-detect of lm-sensors finds it).";
    static final String NO_FANS =
            "Fans are absent: no sensor at /sys/class/hwmon. Load the sensor's driver (sensors-detect of lm-sensors"
                    + " finds it).";
    static final String NO_VOLTAGE =
            "The processor's voltage is absent: neither a sensor at /sys/class/hwmon nor dmidecode"
                    + " gave it. Load the sensor's driver, or install dmidecode and run the agent as root.";

    private final HardwareAbstractionLayer hardware;
    private final LongSupplier wallMs;

    /**
     * @param hardware of {@code new oshi.SystemInfo()}
     * @param wallMs the clock, milliseconds since 1970
     */
    public OshiInventory(HardwareAbstractionLayer hardware, LongSupplier wallMs) {
        this.hardware = hardware;
        this.wallMs = wallMs;
    }

    @Override
    public Inventory read() {
        List<String> absent = new ArrayList<>();
        return new Inventory(
                wallMs.getAsLong(),
                board(absent),
                processor(),
                hardware.getMemory().getTotal(),
                dimms(absent),
                sensors(absent),
                nics(),
                absent);
    }

    private Board board(List<String> absent) {
        ComputerSystem system = hardware.getComputerSystem();
        Board board = new Board(
                known(system.getManufacturer()),
                known(system.getModel()),
                known(system.getBaseboard().getManufacturer()),
                known(system.getBaseboard().getModel()),
                known(system.getFirmware().getManufacturer()),
                known(system.getFirmware().getVersion()),
                known(system.getFirmware().getReleaseDate()));
        if (Stream.of(board.systemVendor(), board.systemModel(), board.boardModel(), board.firmwareVersion())
                .allMatch(Optional::isEmpty)) {
            absent.add(NO_BOARD);
        }
        return board;
    }

    private Processor processor() {
        CentralProcessor processor = hardware.getProcessor();
        CentralProcessor.ProcessorIdentifier identifier = processor.getProcessorIdentifier();
        return new Processor(
                known(identifier.getVendor()),
                known(identifier.getName()),
                known(identifier.getMicroarchitecture()),
                processor.getPhysicalPackageCount(),
                processor.getPhysicalProcessorCount(),
                processor.getLogicalProcessorCount(),
                positive(processor.getMaxFreq()));
    }

    private List<Dimm> dimms(List<String> absent) {
        List<Dimm> dimms = new ArrayList<>();
        for (PhysicalMemory memory : hardware.getMemory().getPhysicalMemory()) {
            if (memory.getCapacity() > 0) {
                dimms.add(new Dimm(
                        known(memory.getBankLabel()),
                        memory.getCapacity(),
                        positive(memory.getClockSpeed()),
                        known(memory.getMemoryType()),
                        known(memory.getManufacturer()),
                        known(memory.getPartNumber()),
                        known(memory.getSerialNumber())));
            }
        }
        if (dimms.isEmpty()) {
            absent.add(NO_DIMMS);
        }
        return dimms;
    }

    private Sensors sensors(List<String> absent) {
        oshi.hardware.Sensors readings = hardware.getSensors();
        Sensors sensors = new Sensors(
                positive(readings.getCpuTemperature()),
                Arrays.stream(readings.getFanSpeeds()).boxed().toList(),
                positive(readings.getCpuVoltage()));
        if (sensors.cpuCelsius().isEmpty()) {
            absent.add(NO_TEMPERATURE);
        }
        if (sensors.fansRpm().isEmpty()) {
            absent.add(NO_FANS);
        }
        if (sensors.cpuVolts().isEmpty()) {
            absent.add(NO_VOLTAGE);
        }
        return sensors;
    }

    private List<Nic> nics() {
        List<Nic> nics = new ArrayList<>();
        for (NetworkIF nic : hardware.getNetworkIFs(false)) {
            List<String> addresses = new ArrayList<>();
            Collections.addAll(addresses, nic.getIPv4addr());
            Collections.addAll(addresses, nic.getIPv6addr());
            OptionalLong mtu = positive(nic.getMTU());
            nics.add(new Nic(
                    nic.getName(),
                    known(nic.getMacaddr()),
                    mtu.isPresent() ? OptionalInt.of((int) mtu.getAsLong()) : OptionalInt.empty(),
                    positive(nic.getSpeed()),
                    addresses,
                    nic.getInErrors(),
                    nic.getOutErrors(),
                    nic.getInDrops()));
        }
        return nics;
    }

    private static Optional<String> known(String text) {
        String trimmed = text.strip();
        boolean unknown = trimmed.isEmpty()
                || trimmed.toLowerCase(Locale.ROOT).equals("unknown")
                || trimmed.toLowerCase(Locale.ROOT).equals("not specified");
        return unknown ? Optional.empty() : Optional.of(trimmed);
    }

    private static OptionalLong positive(long value) {
        return value > 0 ? OptionalLong.of(value) : OptionalLong.empty();
    }

    private static OptionalDouble positive(double value) {
        return value > 0 && !Double.isInfinite(value) ? OptionalDouble.of(value) : OptionalDouble.empty();
    }
}
