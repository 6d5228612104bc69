package io.lockstep.telemetry.decode;

import io.lockstep.telemetry.event.Component;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Bits of PCI Express's advanced error reporting: PCI Express Base Specification 5.0, 7.8.4.2 and 7.8.4.5. */
public final class PcieErrors {
    private static final Pattern DEVICE =
            Pattern.compile("([0-9a-fA-F]{4,8}):([0-9a-fA-F]{2}):([01][0-9a-fA-F])\\.([0-7])");

    private static final String[] CORRECTABLE = new String[32];
    private static final String[] UNCORRECTABLE = new String[32];

    static {
        CORRECTABLE[0] = "receiver error";
        CORRECTABLE[6] = "bad transaction packet";
        CORRECTABLE[7] = "bad link packet";
        CORRECTABLE[8] = "replay number rollover";
        CORRECTABLE[12] = "replay timer timeout";
        CORRECTABLE[13] = "advisory non-fatal error";
        CORRECTABLE[14] = "corrected internal error";
        CORRECTABLE[15] = "header log overflow";
        UNCORRECTABLE[4] = "link protocol error";
        UNCORRECTABLE[5] = "surprise down";
        UNCORRECTABLE[12] = "poisoned transaction packet";
        UNCORRECTABLE[13] = "flow control error";
        UNCORRECTABLE[14] = "completion timeout";
        UNCORRECTABLE[15] = "completer abort";
        UNCORRECTABLE[16] = "unexpected completion";
        UNCORRECTABLE[17] = "receiver overflow";
        UNCORRECTABLE[18] = "malformed transaction packet";
        UNCORRECTABLE[19] = "checksum error of a transaction packet";
        UNCORRECTABLE[20] = "unsupported request";
        UNCORRECTABLE[21] = "access control violation";
        UNCORRECTABLE[22] = "uncorrected internal error";
        UNCORRECTABLE[23] = "blocked multicast";
        UNCORRECTABLE[24] = "blocked atomic operation";
        UNCORRECTABLE[25] = "blocked transaction prefix";
        UNCORRECTABLE[26] = "poisoned packet blocked on its way out";
    }

    private PcieErrors() {}

    /** The bits that are set in words, lowest first, e.g. {@code PCIe receiver error, bad link packet}; those that have none as numbers. */
    public static String words(long status, boolean correctable) {
        String[] names = correctable ? CORRECTABLE : UNCORRECTABLE;
        StringBuilder words = new StringBuilder();
        for (int bit = 0; bit < 32; bit++) {
            if (Bits.set(status, bit)) {
                words.append(words.isEmpty() ? "PCIe " : ", ")
                        .append(names[bit] == null ? "error bit " + bit : names[bit]);
            }
        }
        return words.isEmpty() ? "PCIe error" : words.toString();
    }

    /** A function by the name that the kernel gives it, e.g. {@code 0000:3b:00.1}; a part of the host by that name if it is none. */
    public static Component device(String name) {
        Matcher match = DEVICE.matcher(name);
        if (!match.matches()) {
            return new Component.Host("PCIe device " + name);
        }
        return new Component.Pcie(
                Long.parseLong(match.group(1), 16),
                Integer.parseInt(match.group(2), 16),
                Integer.parseInt(match.group(3), 16),
                Integer.parseInt(match.group(4), 16));
    }
}
