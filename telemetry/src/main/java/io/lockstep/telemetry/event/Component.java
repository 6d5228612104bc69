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
     * @param bytes its size; 0 if not known
     * @param serial its serial number; empty if not known
     * @param socket processor package whose controller drives it
     * @param controller of that package
     * @param channel of that controller
     * @param dimm slot in the channel
     * @param rank of the module
     * @param bank of the rank, with its bank group
     * @param row of the bank
     * @param column of the row
     */
    record Memory(
            String label,
            long bytes,
            String serial,
            int socket,
            int controller,
            int channel,
            int dimm,
            int rank,
            int bank,
            int row,
            int column)
            implements Component {
        /** Memory of which nothing is known. */
        public static final Memory ANYWHERE =
                new Memory("", 0, "", UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN);

        public Memory {
            check("socket", socket);
            check("controller", controller);
            check("channel", channel);
            check("dimm", dimm);
            check("rank", rank);
            check("bank", bank);
            check("row", row);
            check("column", column);
            if (bytes < 0) {
                throw new IllegalArgumentException("bytes " + bytes + " < 0");
            }
        }

        /** In this slot. */
        public Memory at(int socket, int controller, int channel, int dimm) {
            return new Memory(label, bytes, serial, socket, controller, channel, dimm, rank, bank, row, column);
        }

        /** With this name on the board. */
        public Memory labelled(String label) {
            return new Memory(label, bytes, serial, socket, controller, channel, dimm, rank, bank, row, column);
        }

        /** With this size and serial number. */
        public Memory identified(long bytes, String serial) {
            return new Memory(label, bytes, serial, socket, controller, channel, dimm, rank, bank, row, column);
        }

        /** At this place in the module. */
        public Memory place(int rank, int bank, int row, int column) {
            return new Memory(label, bytes, serial, socket, controller, channel, dimm, rank, bank, row, column);
        }

        /** The module without the place in it, by which events of one module are counted together. */
        public Memory module() {
            return place(UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN);
        }

        /** The bank of the module without the row, or this if the bank is not known. */
        public Memory bankOnly() {
            return place(rank, bank, UNKNOWN, UNKNOWN);
        }

        /** Whether one module is meant, and not just a channel or a socket. */
        public boolean oneModule() {
            return !label.isEmpty() || (channel != UNKNOWN && dimm != UNKNOWN);
        }

        /** How much of the module's name and place is known: the more, the better one tells it from the others. */
        public int known() {
            int numbers = 0;
            for (int number : new int[] {socket, controller, channel, dimm}) {
                numbers += number == UNKNOWN ? 0 : 1;
            }
            // What stands on the board tells it alone.
            return (oneModule() ? 8 : 0) + (label.isEmpty() ? 0 : 4) + numbers;
        }

        /** This, with what it lacks filled in from another description of the same memory. */
        public Memory filledFrom(Memory other) {
            return new Memory(
                    label.isEmpty() ? other.label : label,
                    bytes == 0 ? other.bytes : bytes,
                    serial.isEmpty() ? other.serial : serial,
                    known(socket, other.socket),
                    known(controller, other.controller),
                    known(channel, other.channel),
                    known(dimm, other.dimm),
                    known(rank, other.rank),
                    known(bank, other.bank),
                    known(row, other.row),
                    known(column, other.column));
        }

        /** Whether both may be the same memory: no number that both know differs. */
        public boolean mayBe(Memory other) {
            return (label.isEmpty() || other.label.isEmpty() || label.equals(other.label))
                    && agree(socket, other.socket)
                    && agree(controller, other.controller)
                    && agree(channel, other.channel)
                    && agree(dimm, other.dimm)
                    && agree(rank, other.rank)
                    && agree(bank, other.bank)
                    && agree(row, other.row)
                    && agree(column, other.column);
        }

        /** Whether both are the same memory as far as they say, and both say in which channel or by which label. */
        public boolean meets(Memory other) {
            boolean both =
                    (channel != UNKNOWN && channel == other.channel) || (!label.isEmpty() && label.equals(other.label));
            return both && mayBe(other);
        }

        private static int known(int one, int other) {
            return one == UNKNOWN ? other : one;
        }

        private static boolean agree(int one, int other) {
            return one == UNKNOWN || other == UNKNOWN || one == other;
        }

        @Override
        public String words() {
            StringBuilder words = new StringBuilder();
            number(words, " CPU", socket);
            number(words, " controller ", controller);
            number(words, " channel ", channel);
            number(words, " slot ", dimm);
            if (!label.isEmpty()) {
                // A label such as "CPU1 DIMM 3" must not read as the numbers that are known.
                boolean plain =
                        words.isEmpty() && !label.matches("(?:CPU|controller |channel |slot )\\d+(?:\\W.*)?|\\(.*");
                words.append(plain ? " " + label : " (" + label + ")");
            }
            words.insert(0, words.isEmpty() ? "a DIMM" : oneModule() ? "DIMM" : "memory of");
            if (bytes > 0) {
                words.append(", ").append(bytes % (1L << 30) == 0 ? (bytes >> 30) + " GiB" : (bytes >> 20) + " MiB");
            }
            if (!serial.isEmpty()) {
                words.append(", serial ").append(serial);
            }
            number(words, ", rank ", rank);
            number(words, ", bank ", bank);
            hexadecimal(words, ", row 0x", row);
            hexadecimal(words, ", column 0x", column);
            return words.toString();
        }

        private static void number(StringBuilder to, String name, int value) {
            if (value != UNKNOWN) {
                to.append(name).append(value);
            }
        }

        private static void hexadecimal(StringBuilder to, String name, int value) {
            if (value != UNKNOWN) {
                to.append(name).append(Integer.toHexString(value));
            }
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

    /**
     * The host as a whole, or a part of it that no other component describes.
     *
     * @param name e.g. {@code power supplies}; empty for the host
     */
    record Host(String name) implements Component {
        @Override
        public String words() {
            return name.isEmpty() ? "this host" : name;
        }
    }

    /** A virtual machine that runs here, by its name. */
    record Guest(String name) implements Component {
        @Override
        public String words() {
            return "virtual machine " + name;
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
}
