package io.lockstep.telemetry.replay;

import io.lockstep.telemetry.decode.MachineCheck;
import io.lockstep.telemetry.decode.MachineCheckDecoder;
import java.util.EnumMap;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Machine checks in words: as the kernel logs them ({@code arch/x86/kernel/cpu/mce/core.c}, print_mce; {@code drivers/edac/mce_amd.c}), and as mcelog
 * writes and mce-inject reads them. A machine check is told over several lines. For one thread.
 */
final class MachineCheckText {
    /** The lines of one machine check are logged in one go. */
    private static final long GROUP_MS = 1000;

    private static final int BANK_MAX = 255;

    private static final Pattern KERNEL = Pattern.compile(
            "CPU (\\d{1,6}): Machine Check(?: Exception)?: +([0-9a-fA-F]{1,16}) Bank (\\d{1,3}): ([0-9a-fA-F]{1,16})");
    private static final Pattern AMD = Pattern.compile("CPU:(\\d{1,6}) \\(([0-9a-fA-F]{1,2}):([0-9a-fA-F]{1,2}):"
            + "([0-9a-fA-F]{1,2})\\) MC(\\d{1,3})_STATUS(?:\\[[^\\]]*\\])?: (?:0x)?([0-9a-fA-F]{1,16})");
    private static final Pattern AMD_FIELD = Pattern.compile("(Error Addr|IPID|Syndrome|PPIN): 0x([0-9a-fA-F]{1,16})");
    private static final Pattern RIP = Pattern.compile("RIP(?: !INEXACT!)? ([0-9a-fA-F]{1,4}):<([0-9a-fA-F]{1,16})>");
    private static final Pattern MCELOG = Pattern.compile("CPU \\S+ (?:\\d+ )?BANK \\S+.*|CPU \\d+");
    private static final Pattern MCELOG_HEAD =
            Pattern.compile("MCE \\d+|(?:Hardware event\\. )?This is not a software error.*|"
                    + "Hardware event\\..*|HARDWARE ERROR\\..*");
    private static final Pattern CPUID =
            Pattern.compile("CPUID Vendor (\\w+) Family (\\d{1,3}) Model (\\d{1,3})(?: Step(?:ping)? (\\d{1,2}))?.*");

    private final RecordingSink sink;
    private final Map<Word, Long> values = new EnumMap<>(Word.class);
    private boolean open;
    private boolean kernel;
    private boolean broken;
    private long line;
    private long stampMs;
    private boolean stamped;

    /** Words before a number, and the number's base. */
    private enum Word {
        CPU(10),
        BANK(10),
        STATUS(16),
        MCGSTATUS(16),
        MISC(16),
        ADDR(16),
        MCGCAP(16),
        TIME(10),
        SOCKETID(10),
        APICID(16),
        TSC(16),
        PPIN(16),
        SYND(16),
        IPID(16),
        VENDOR(10),
        CODE(16),
        RIP(16),
        CPUID(16);

        final int base;

        Word(int base) {
            this.base = base;
        }

        static @Nullable Word of(String text) {
            return switch (text) {
                case "CPU" -> CPU;
                case "BANK" -> BANK;
                case "STATUS" -> STATUS;
                case "MCGSTATUS" -> MCGSTATUS;
                case "MISC" -> MISC;
                case "ADDR" -> ADDR;
                case "MCGCAP" -> MCGCAP;
                case "TIME" -> TIME;
                case "SOCKETID", "SOCKET" -> SOCKETID;
                case "APICID", "APIC" -> APICID;
                case "TSC" -> TSC;
                case "PPIN" -> PPIN;
                case "SYND" -> SYND;
                case "IPID" -> IPID;
                default -> null;
            };
        }
    }

    MachineCheckText(RecordingSink sink) {
        this.sink = sink;
    }

    /**
     * Takes a line of the kernel's log.
     *
     * @param text without time
     * @param ms its time
     * @param hasTime whether it had one; without, the machine check's own counts
     * @return whether it belongs to a machine check
     */
    boolean line(String text, long number, long ms, boolean hasTime) {
        if (open && kernel && ms - stampMs > GROUP_MS) {
            end();
        }
        boolean marked = text.contains("[Hardware Error]: ");
        String body = marked ? text.substring(text.indexOf("[Hardware Error]: ") + 18) : text;
        body = body.strip();
        if (body.contains(": Machine Check") && body.startsWith("CPU ")) {
            begin(number, ms, hasTime, true);
            kernelHead(body);
            return true;
        }
        Matcher amd = AMD.matcher(body);
        if (marked && amd.lookingAt()) {
            begin(number, ms, hasTime, true);
            amdHead(amd);
            return true;
        }
        if (!marked && MCELOG_HEAD.matcher(body).matches()) {
            end();
            return true;
        }
        if (!marked && MCELOG.matcher(body).matches()) {
            begin(number, ms, hasTime, false);
            words(body);
            return true;
        }
        if (!open) {
            return false;
        }
        return more(body, marked);
    }

    private boolean more(String body, boolean marked) {
        Matcher cpuid = CPUID.matcher(body);
        if (cpuid.matches()) {
            vendor(cpuid);
            return true;
        }
        Matcher rip = RIP.matcher(body);
        if (rip.lookingAt()) {
            values.put(Word.CODE, Long.parseLong(rip.group(1), 16));
            values.put(Word.RIP, Long.parseUnsignedLong(rip.group(2), 16));
            return true;
        }
        Matcher amd = AMD_FIELD.matcher(body);
        if (marked && amd.lookingAt()) {
            do {
                Word word =
                        switch (amd.group(1)) {
                            case "Error Addr" -> Word.ADDR;
                            case "IPID" -> Word.IPID;
                            case "PPIN" -> Word.PPIN;
                            default -> Word.SYND;
                        };
                values.put(word, Long.parseUnsignedLong(amd.group(2), 16));
            } while (amd.find());
            return true;
        }
        String first = body.contains(" ") ? body.substring(0, body.indexOf(' ')) : body;
        if (Word.of(first) != null || first.equals("PROCESSOR") || first.equals("MICROCODE")) {
            words(body);
            if (kernel && first.equals("PROCESSOR")) {
                end();
            }
            return true;
        }
        if (!kernel && values.containsKey(Word.STATUS)) {
            end();
        }
        return false;
    }

    private void begin(long number, long ms, boolean hasTime, boolean ofKernel) {
        end();
        open = true;
        kernel = ofKernel;
        line = number;
        stampMs = ms;
        stamped = hasTime;
    }

    private void kernelHead(String body) {
        Matcher head = KERNEL.matcher(body);
        if (!head.lookingAt()) {
            wrong("no machine check: '" + cut(body) + "'");
            return;
        }
        values.put(Word.CPU, Long.parseLong(head.group(1)));
        values.put(Word.MCGSTATUS, Long.parseUnsignedLong(head.group(2), 16));
        values.put(Word.BANK, Long.parseLong(head.group(3)));
        values.put(Word.STATUS, Long.parseUnsignedLong(head.group(4), 16));
    }

    private void amdHead(Matcher head) {
        values.put(Word.CPU, Long.parseLong(head.group(1)));
        values.put(Word.VENDOR, (long) MachineCheck.AMD);
        values.put(Word.CPUID, (long) cpuid(
                Integer.parseInt(head.group(2), 16),
                Integer.parseInt(head.group(3), 16),
                Integer.parseInt(head.group(4), 16)));
        values.put(Word.BANK, Long.parseLong(head.group(5)));
        values.put(Word.STATUS, Long.parseUnsignedLong(head.group(6), 16));
    }

    private void vendor(Matcher match) {
        String name = match.group(1);
        int vendor = name.startsWith("AMD") || name.startsWith("Authentic")
                ? MachineCheck.AMD
                : name.startsWith("Hygon") ? MachineCheck.HYGON : MachineCheck.INTEL;
        values.put(Word.VENDOR, (long) vendor);
        int stepping = match.group(4) == null ? 0 : Integer.parseInt(match.group(4));
        values.putIfAbsent(
                Word.CPUID, (long) cpuid(Integer.parseInt(match.group(2)), Integer.parseInt(match.group(3)), stepping));
    }

    /** EAX of CPUID leaf 1. */
    private static int cpuid(int family, int model, int stepping) {
        int base = Math.min(family, 15);
        return (family - base) << 20 | (model >> 4 & 15) << 16 | base << 8 | (model & 15) << 4 | (stepping & 15);
    }

    private void words(String body) {
        String[] words = body.split("\\s+", -1);
        for (int i = 0; i + 1 < words.length; i++) {
            String value = words[i + 1];
            if (words[i].equals("PROCESSOR") && value.matches("\\d{1,3}:[0-9a-fA-F]{1,8}")) {
                values.put(Word.VENDOR, Long.parseLong(value.substring(0, value.indexOf(':'))));
                values.put(Word.CPUID, Long.parseLong(value.substring(value.indexOf(':') + 1), 16));
                i++;
                continue;
            }
            Word word = Word.of(words[i]);
            if (word != null) {
                put(word, value);
                i++;
            }
        }
    }

    private void put(Word word, String text) {
        String digits = word.base == 16 ? text.replaceFirst("^0[xX]", "") : text;
        boolean number = digits.matches(word.base == 16 ? "[0-9a-fA-F]{1,16}" : "[0-9]{1,12}");
        if (!number) {
            wrong(word + " '" + cut(text) + "' is not a "
                    + (word.base == 16 ? "hexadecimal number of 64 bits" : "number"));
            return;
        }
        values.put(word, Long.parseUnsignedLong(digits, word.base));
    }

    private void most(Word word, long max) {
        if (value(word, 0) > max) {
            wrong(word + " " + value(word, 0) + " > " + max);
        }
    }

    private void wrong(String cause) {
        if (!broken) {
            sink.malformed(line, cause);
        }
        broken = true;
    }

    /** Hands on what is open: no more of it will come. */
    void end() {
        if (open && !broken && !values.containsKey(Word.STATUS)) {
            wrong("machine check without a STATUS");
        }
        if (open) {
            most(Word.BANK, BANK_MAX);
            most(Word.TIME, RecordingReader.WALL_MS_MAX / 1000);
        }
        if (open && !broken) {
            long own = value(Word.TIME, 0) * 1000;
            sink.event(MachineCheckDecoder.decode(check(stamped || own == 0 ? stampMs : own)));
        }
        open = false;
        broken = false;
        values.clear();
    }

    private MachineCheck check(long wallMs) {
        return new MachineCheck(
                wallMs,
                (int) value(
                        Word.VENDOR,
                        MachineCheck.vendorOf((int) value(Word.CPUID, 0), value(Word.SYND, 0), value(Word.IPID, 0))),
                (int) value(Word.CPUID, 0),
                (int) Math.min(value(Word.SOCKETID, -1), Integer.MAX_VALUE),
                (int) Math.min(value(Word.CPU, -1), Integer.MAX_VALUE),
                (int) value(Word.BANK, 0),
                (int) value(Word.CODE, 0),
                value(Word.MCGCAP, 0),
                value(Word.MCGSTATUS, 0),
                value(Word.STATUS, 0),
                value(Word.ADDR, 0),
                value(Word.MISC, 0),
                value(Word.SYND, 0),
                value(Word.IPID, 0),
                value(Word.RIP, 0),
                value(Word.PPIN, 0));
    }

    private long value(Word word, long fallback) {
        return values.getOrDefault(word, fallback);
    }

    private static String cut(String text) {
        return text.length() > 80 ? text.substring(0, 80) + "…" : text;
    }
}
