package io.lockstep.telemetry.decode;

import static io.lockstep.telemetry.event.Component.UNKNOWN;

import io.lockstep.telemetry.event.Component;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Where in memory something happened, out of the texts in which the kernel says it: EDAC labels and driver details ({@code drivers/edac}), and
 * places of error records ({@code drivers/firmware/efi/cper.c}). Never throws; what a text does not say is not known.
 */
public final class MemoryLocation {
    /** Longer labels are no labels. */
    private static final int LABEL_CHARS_MAX = 64;

    private static final Pattern NUMBER =
            Pattern.compile("([A-Za-z_]{1,32})[#:]\\s?(?:0[xX]([0-9a-fA-F]{1,7})|([0-9]{1,9}))");

    private MemoryLocation() {}

    /**
     * Of an EDAC label such as {@code CPU_SrcID#0_MC#1_Chan#0_DIMM#0}, {@code mc#0csrow#2channel#1} or {@code DIMM_A1}.
     *
     * @param controller index of EDAC's controller, where the label does not name one
     */
    public static Component.Memory ofLabel(String label, int controller) {
        Component.Memory memory = Component.Memory.ANYWHERE.at(
                find(label, "srcid"),
                or(find(label, "mc"), controller),
                or(find(label, "chan"), find(label, "channel")),
                find(label, "dimm"));
        return ofSelect(find(label, "csrow"), memory).labelled(label(label));
    }

    /**
     * The module and the rank that a chip select is, where it tells more than is known: two of them to a module, as {@code
     * drivers/edac/amd64_edac.c} numbers them (its chip selects 0 and 1 are the first module of a channel).
     *
     * @param select number of the chip select, which EDAC calls csrow; {@link Component#UNKNOWN} if not known
     */
    public static Component.Memory ofSelect(int select, Component.Memory memory) {
        return select == UNKNOWN || memory.dimm() != UNKNOWN
                ? memory
                : memory.at(memory.socket(), memory.controller(), memory.channel(), select >> 1)
                        .place(select & 1, UNKNOWN, UNKNOWN, UNKNOWN);
    }

    /** A label as an operator reads it on the board; empty if it is none, or names several modules. */
    public static String label(String text) {
        String label = text.strip();
        boolean none = label.isEmpty()
                || label.length() > LABEL_CHARS_MAX
                || label.contains("#")
                || label.contains(" or ")
                || label.toLowerCase(Locale.ROOT).contains("unknown")
                || label.toLowerCase(Locale.ROOT).startsWith("any memory");
        return none ? "" : label.replaceAll("[^\\x20-\\x7e]", "?");
    }

    /** Of an EDAC driver's detail, such as {@code … ProcessorSocketId:0x0 … Row:0x1a2 Column:0x10 Bank:0x1 BankGroup:0x2}; hexadecimal with 0x. */
    public static Component.Memory ofDetail(String detail) {
        int group = find(detail, "bankgroup");
        int bank = find(detail, "bank");
        return Component.Memory.ANYWHERE
                .at(
                        or(find(detail, "processorsocketid"), find(detail, "socket")),
                        UNKNOWN,
                        UNKNOWN,
                        find(detail, "dimmslotid"))
                .place(
                        or(find(detail, "physicalrankid"), find(detail, "rank")),
                        group == UNKNOWN || bank == UNKNOWN ? bank : group << 2 | bank,
                        find(detail, "row"),
                        or(find(detail, "column"), find(detail, "col")));
    }

    /** Of the layers in EDAC's line of the kernel's log, such as {@code channel:0 slot:1} or {@code csrow:2 channel:0}; decimal. */
    public static Component.Memory ofLayers(String text) {
        return ofSelect(
                find(text, "csrow"),
                Component.Memory.ANYWHERE.at(UNKNOWN, UNKNOWN, find(text, "channel"), find(text, "slot")));
    }

    /** Of a place in a common platform error record: {@code node:0 card:1 module:2 rank:0 bank:3 device:0 row:4660 column:86}; decimal. */
    public static Component.Memory ofCper(String text) {
        int bank = find(text, "bank");
        int group = find(text, "bank_group");
        int address = find(text, "bank_address");
        return Component.Memory.ANYWHERE
                .at(find(text, "node"), UNKNOWN, find(text, "card"), find(text, "module"))
                .place(
                        find(text, "rank"),
                        bank == UNKNOWN && group != UNKNOWN && address != UNKNOWN ? group << 2 | address : bank,
                        find(text, "row"),
                        find(text, "column"));
    }

    /** The number after a name, which stands alone but for CPU and underscores before it. */
    private static int find(String text, String name) {
        Matcher match = NUMBER.matcher(text);
        while (match.find()) {
            String key = match.group(1).toLowerCase(Locale.ROOT);
            if (key.equals(name) || key.replaceFirst("^(cpu)?_", "").equals(name)) {
                return match.group(2) != null ? Integer.parseInt(match.group(2), 16) : Integer.parseInt(match.group(3));
            }
        }
        return UNKNOWN;
    }

    private static int or(int one, int other) {
        return one == UNKNOWN ? other : one;
    }
}
