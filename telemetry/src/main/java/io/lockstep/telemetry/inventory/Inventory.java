package io.lockstep.telemetry.inventory;

import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.OptionalLong;

/**
 * The host's hardware at one time. Immutable.
 *
 * @param wallMs when it was read, in milliseconds since 1970, UTC
 * @param board the mainboard and its firmware
 * @param processor the processors, which are all alike
 * @param memoryBytes memory that Linux uses
 * @param dimms memory modules; empty if the firmware's tables cannot be read
 * @param sensors temperatures, fans and voltages
 * @param nics network interfaces other than loopback
 * @param absent what could not be read, each with the cure, one sentence or two
 */
public record Inventory(
        long wallMs,
        Board board,
        Processor processor,
        long memoryBytes,
        List<Dimm> dimms,
        Sensors sensors,
        List<Nic> nics,
        List<String> absent) {
    public Inventory {
        dimms = List.copyOf(dimms);
        nics = List.copyOf(nics);
        absent = List.copyOf(absent);
    }

    /**
     * The mainboard and its firmware, from DMI.
     *
     * @param firmwareDate as the firmware writes it
     */
    public record Board(
            Optional<String> systemVendor,
            Optional<String> systemModel,
            Optional<String> boardVendor,
            Optional<String> boardModel,
            Optional<String> firmwareVendor,
            Optional<String> firmwareVersion,
            Optional<String> firmwareDate) {}

    /**
     * The processors.
     *
     * @param sockets packages
     * @param cores physical cores of all packages
     * @param cpus logical CPUs of all packages
     * @param hertzMax highest clock
     */
    public record Processor(
            Optional<String> vendor,
            Optional<String> model,
            Optional<String> microarchitecture,
            int sockets,
            int cores,
            int cpus,
            OptionalLong hertzMax) {}

    /**
     * A memory module.
     *
     * @param slot as the board names it
     * @param bytes capacity
     * @param hertz transfers a second
     */
    public record Dimm(
            Optional<String> slot,
            long bytes,
            OptionalLong hertz,
            Optional<String> type,
            Optional<String> vendor,
            Optional<String> partNumber,
            Optional<String> serialNumber) {}

    /**
     * Readings.
     *
     * @param cpuCelsius temperature of the processor
     * @param fansRpm revolutions a minute; 0 is a fan that stands still
     * @param cpuVolts core voltage
     */
    public record Sensors(OptionalDouble cpuCelsius, List<Integer> fansRpm, OptionalDouble cpuVolts) {
        public Sensors {
            fansRpm = List.copyOf(fansRpm);
        }
    }

    /**
     * A network interface.
     *
     * @param bitsPerSecond of the link; absent if it is down or virtual
     * @param receiveErrors since boot
     * @param sendErrors since boot
     * @param receiveDrops since boot
     */
    public record Nic(
            String name,
            Optional<String> macAddress,
            OptionalInt mtu,
            OptionalLong bitsPerSecond,
            List<String> addresses,
            long receiveErrors,
            long sendErrors,
            long receiveDrops) {
        public Nic {
            addresses = List.copyOf(addresses);
        }
    }
}
