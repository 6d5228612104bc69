package io.lockstep.telemetry.replay;

import io.lockstep.telemetry.decode.PcieErrors;
import io.lockstep.telemetry.event.Component;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** The way back from {@link Component#words()}, by which recorded events name their hardware. What fits no form is a part of the host by that name. */
final class ComponentWords {
    private static final Pattern MEMORY = Pattern.compile("(?:a DIMM|DIMM|memory of)"
            + "(?: CPU(\\d{1,9}))?(?: controller (\\d{1,9}))?(?: channel (\\d{1,9}))?(?: slot (\\d{1,9}))?"
            + "(?: \\((.+?)\\)| (.+?))??"
            + "(?:, (\\d{1,9}) (GiB|MiB))?(?:, serial (.+?))??"
            + "(?:, rank (\\d{1,9}))?(?:, bank (\\d{1,9}))?"
            + "(?:, row 0x([0-9a-f]{1,8}))?(?:, column 0x([0-9a-f]{1,8}))?");
    private static final Pattern CPU =
            Pattern.compile("(?:a CPU|CPU (\\d{1,9}))(?: \\((?:socket (\\d{1,9}))?(?:, )?(?:core (\\d{1,9}))?\\))?");
    private static final Pattern PCIE = Pattern.compile("PCIe device (\\S+)");
    private static final Pattern ADDRESS =
            Pattern.compile("memory at physical address 0x([0-9a-f]{1,15}) \\((\\d{1,18}) bytes\\)");
    private static final Pattern SENSOR = Pattern.compile("sensor (?:([^/]*)/)?(.*)");

    private ComponentWords() {}

    /** Never throws. */
    static Component parse(String words) {
        Matcher cpu = CPU.matcher(words);
        if (cpu.matches()) {
            return new Component.Cpu(number(cpu.group(2)), number(cpu.group(3)), number(cpu.group(1)));
        }
        Matcher memory = MEMORY.matcher(words);
        if (memory.matches()) {
            return memory(memory);
        }
        Matcher address = ADDRESS.matcher(words);
        if (address.matches() && Long.bitCount(Long.parseLong(address.group(2))) == 1) {
            return new Component.PhysicalAddress(
                    Long.parseLong(address.group(1), 16), Long.parseLong(address.group(2)));
        }
        Matcher pcie = PCIE.matcher(words);
        if (pcie.matches()) {
            return PcieErrors.device(pcie.group(1));
        }
        if (words.startsWith("virtual machine ")) {
            return new Component.Guest(words.substring("virtual machine ".length()));
        }
        if (words.startsWith("network interface ")) {
            return new Component.Nic(words.substring("network interface ".length()));
        }
        Matcher sensor = SENSOR.matcher(words);
        if (sensor.matches()) {
            return new Component.Sensor(sensor.group(1) == null ? "" : sensor.group(1), sensor.group(2));
        }
        return new Component.Host(words.equals("this host") ? "" : words);
    }

    private static Component memory(Matcher match) {
        String label = match.group(5) != null ? match.group(5) : match.group(6);
        long size = match.group(7) == null ? 0 : Long.parseLong(match.group(7));
        return Component.Memory.ANYWHERE
                .labelled(label == null ? "" : label)
                .identified(
                        size << ("GiB".equals(match.group(8)) ? 30 : 20), match.group(9) == null ? "" : match.group(9))
                .at(number(match.group(1)), number(match.group(2)), number(match.group(3)), number(match.group(4)))
                .place(
                        number(match.group(10)),
                        number(match.group(11)),
                        hexadecimal(match.group(12)),
                        hexadecimal(match.group(13)));
    }

    private static int number(@Nullable String text) {
        return text == null ? Component.UNKNOWN : Integer.parseInt(text);
    }

    private static int hexadecimal(@Nullable String text) {
        int value = text == null ? Component.UNKNOWN : Integer.parseUnsignedInt(text, 16);
        return Math.max(Component.UNKNOWN, value);
    }
}
