package io.lockstep.telemetry.event;

import java.util.StringJoiner;

/** Which piece of hardware an event is about, as exactly as its source knew. Immutable; equal if it is the same piece to the same exactness. */
public sealed interface Component {
    /** Value of a number that the source did not know. */
    int UNKNOWN = -1;

    /** As it stands in a sentence, without what is not known, e.g. {@code DIMM DIMM_A1 (socket 0, channel 1)}. */
    String words();

    /**
     * A memory module, or a part of it. Numbers from 0, {@link #UNKNOWN} where not known.
     *
     * @param label as printed on the board, e.g. {@code DIMM_A1}; empty if not known
     * @param socket processor package whose controller drives it
     * @param channel of that controller
     * @param dimm slot in the channel
     * @param rank of the module
     * @param bank of the rank
     * @param row of the bank
     * @param column of the row
     */
    record Memory(String label, int socket, int channel, int dimm, int rank, int bank, int row, int column)
            implements Component {
        public Memory {
            check("socket", socket);
            check("channel", channel);
            check("dimm", dimm);
            check("rank", rank);
            check("bank", bank);
            check("row", row);
            check("column", column);
        }

        /** The module without the place in it, by which events of one module are counted together. */
        public Memory module() {
            return new Memory(label, socket, channel, dimm, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN);
        }

        @Override
        public String words() {
            StringJoiner place = new StringJoiner(", ", " (", ")").setEmptyValue("");
            add(place, "socket", socket);
            add(place, "channel", channel);
            add(place, "slot", dimm);
            add(place, "rank", rank);
            add(place, "bank", bank);
            addHex(place, "row", row);
            addHex(place, "column", column);
            return (label.isEmpty() ? "a DIMM" : "DIMM " + label) + place;
        }
    }

    /**
     * A processor, or a part of it. Numbers from 0, {@link #UNKNOWN} where not known.
     *
     * @param socket processor package
     * @param core of the package
     * @param cpu as Linux numbers logical CPUs
     */
    record Cpu(int socket, int core, int cpu) implements Component {
        public Cpu {
            check("socket", socket);
            check("core", core);
            check("cpu", cpu);
        }

        @Override
        public String words() {
            StringJoiner place = new StringJoiner(", ", " (", ")").setEmptyValue("");
            add(place, "socket", socket);
            add(place, "core", core);
            return (cpu == UNKNOWN ? "a CPU" : "CPU " + cpu) + place;
        }
    }

    /**
     * A PCI Express function.
     *
     * @param domain 0 to 0xffffffff; Linux counts above 16 bits for some virtual bridges
     * @param bus 0 to 255
     * @param device 0 to 31
     * @param function 0 to 7
     */
    record Pcie(long domain, int bus, int device, int function) implements Component {
        public Pcie {
            if (domain < 0
                    || domain > 0xffff_ffffL
                    || (bus & ~0xff) != 0
                    || (device & ~0x1f) != 0
                    || (function & ~7) != 0) {
                throw new IllegalArgumentException(
                        "no PCI address: " + domain + ":" + bus + ":" + device + "." + function);
            }
        }

        @Override
        public String words() {
            return String.format("PCIe device %04x:%02x:%02x.%x", domain, bus, device, function);
        }
    }

    /**
     * Memory whose module is not known.
     *
     * @param address in bytes, as the host sees it
     * @param bytes how much around the address may be meant, a power of two
     */
    record PhysicalAddress(long address, long bytes) implements Component {
        public PhysicalAddress {
            if (address < 0 || Long.bitCount(bytes) != 1) {
                throw new IllegalArgumentException("no address range: " + address + ", " + bytes + " bytes");
            }
        }

        @Override
        public String words() {
            return String.format("memory at physical address 0x%x (%d bytes)", address, bytes);
        }
    }

    /** A network interface, by the kernel's name. */
    record Nic(String name) implements Component {
        @Override
        public String words() {
            return "network interface " + name;
        }
    }

    /**
     * A sensor.
     *
     * @param chip e.g. {@code k10temp}; empty if not known
     * @param name e.g. {@code Tctl}
     */
    record Sensor(String chip, String name) implements Component {
        @Override
        public String words() {
            return "sensor " + (chip.isEmpty() ? name : chip + "/" + name);
        }
    }

    private static void check(String name, int value) {
        if (value < UNKNOWN) {
            throw new IllegalArgumentException(name + " " + value + " < " + UNKNOWN);
        }
    }

    private static void add(StringJoiner to, String name, int value) {
        if (value != UNKNOWN) {
            to.add(name + " " + value);
        }
    }

    private static void addHex(StringJoiner to, String name, int value) {
        if (value != UNKNOWN) {
            to.add(name + " 0x" + Integer.toHexString(value));
        }
    }
}
