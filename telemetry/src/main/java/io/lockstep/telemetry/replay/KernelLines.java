package io.lockstep.telemetry.replay;

import io.lockstep.telemetry.decode.MemoryLocation;
import io.lockstep.telemetry.decode.PcieErrors;
import io.lockstep.telemetry.event.Component;
import io.lockstep.telemetry.event.EventKind;
import io.lockstep.telemetry.event.HardwareEvent;
import io.lockstep.telemetry.event.Raw;
import io.lockstep.telemetry.event.Severity;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Lines of the kernel's log that tell of one event each: EDAC ({@code drivers/edac/edac_mc.c}), pages with lost data ({@code mm/memory-failure.c}),
 * PCI Express ({@code drivers/pci/pcie/aer.c}), hot processors ({@code drivers/thermal/intel/therm_throt.c}). For one thread; never throws.
 */
final class KernelLines {
    private static final int PAGE_SHIFT = 12;

    /** Devices whose second line is waited for. */
    private static final int OPEN_MAX = 256;

    private static final Pattern EDAC = Pattern.compile("EDAC MC(\\d{1,5}): (\\d{1,9}) (CE|UE) (.*?) ?on (.*?) \\((.*?)"
            + "page:0x([0-9a-fA-F]{1,13}) offset:0x([0-9a-fA-F]{1,4}) grain:\\S+ ?(.*)\\)");
    private static final Pattern POISON = Pattern.compile(
            "Memory failure: 0x([0-9a-fA-F]{1,13}): recovery action for (.*): (Ignored|Failed|Delayed|Recovered)");
    private static final Pattern AER =
            Pattern.compile("(?:\\S+ )?(\\S+): (?:AER: )?PCIe Bus Error: severity=([^,]+), .*");
    private static final Pattern AER_STATUS = Pattern.compile(
            "(?:\\S+ )?(\\S+): (?:AER: )?  device \\[[0-9a-fA-F:]+\\] error status/mask=([0-9a-fA-F]{1,8})/.*");
    private static final Pattern HOT =
            Pattern.compile("(?:mce: )?CPU(\\d{1,6}): (Core|Package) temperature(?:/speed)? (?:is )?above threshold.*");

    private final Map<String, Severity> devices = new LinkedHashMap<>();

    /** What a line tells; null if it tells nothing, or is the first of two. */
    @Nullable
    HardwareEvent line(String text, long wallMs) {
        Matcher match = EDAC.matcher(text);
        if (match.lookingAt()) {
            return edac(match, wallMs);
        }
        match = POISON.matcher(text);
        if (match.lookingAt()) {
            return poison(match, wallMs);
        }
        match = AER.matcher(text);
        if (match.matches()) {
            if (devices.size() < OPEN_MAX) {
                devices.put(match.group(1), severity(match.group(2)));
            }
            return null;
        }
        match = AER_STATUS.matcher(text);
        Severity severity = match.matches() ? devices.remove(match.group(1)) : null;
        if (severity != null) {
            return aer(match.group(1), severity, Long.parseLong(match.group(2), 16), wallMs);
        }
        match = HOT.matcher(text);
        return match.matches() ? hot(match, wallMs) : null;
    }

    private static HardwareEvent edac(Matcher match, long wallMs) {
        long page = Long.parseLong(match.group(7), 16);
        long address = (page << PAGE_SHIFT) + Long.parseLong(match.group(8), 16);
        String what = match.group(4).strip().toLowerCase(Locale.ROOT);
        Component.Memory memory = MemoryLocation.ofDetail(match.group(9))
                .filledFrom(MemoryLocation.ofLabel(match.group(5), Integer.parseInt(match.group(1))))
                .filledFrom(MemoryLocation.ofLayers(match.group(6)));
        return new HardwareEvent(
                wallMs,
                what.contains("scrub") ? EventKind.MEMORY_SCRUB : EventKind.MEMORY_ERROR,
                match.group(3).equals("CE") ? Severity.CORRECTED : Severity.RECOVERABLE,
                memory,
                address == 0 ? HardwareEvent.NO_ADDRESS : address,
                Math.max(1, Long.parseLong(match.group(2))),
                "edac",
                what.isEmpty() ? "memory error" : what,
                new Raw.Text(match.group(9)));
    }

    private static HardwareEvent poison(Matcher match, long wallMs) {
        long address = Long.parseLong(match.group(1), 16) << PAGE_SHIFT;
        boolean kept = match.group(3).equals("Ignored") || match.group(3).equals("Failed");
        return new HardwareEvent(
                wallMs,
                EventKind.PAGE_FAILED,
                kept ? Severity.RECOVERABLE : Severity.ACTION_OPTIONAL,
                new Component.PhysicalAddress(address, 1L << PAGE_SHIFT),
                address,
                1,
                "memory-failure",
                kept ? "page with lost data stays in use" : "page with lost data taken out of use",
                new Raw.Text(match.group(2) + " " + match.group(3)));
    }

    private static HardwareEvent aer(String device, Severity severity, long status, long wallMs) {
        return new HardwareEvent(
                wallMs,
                EventKind.PCIE,
                severity,
                PcieErrors.device(device),
                HardwareEvent.NO_ADDRESS,
                1,
                "aer",
                PcieErrors.words(status, severity == Severity.CORRECTED),
                new Raw.Text("status 0x" + Long.toHexString(status)));
    }

    private static HardwareEvent hot(Matcher match, long wallMs) {
        return new HardwareEvent(
                wallMs,
                EventKind.THERMAL,
                Severity.INFORMATIONAL,
                new Component.Cpu(Component.UNKNOWN, Component.UNKNOWN, Integer.parseInt(match.group(1))),
                HardwareEvent.NO_ADDRESS,
                1,
                "kmsg",
                "processor over its thermal limit",
                new Raw.Text(match.group()));
    }

    private static Severity severity(String words) {
        String lower = words.toLowerCase(Locale.ROOT);
        return lower.startsWith("correct")
                ? Severity.CORRECTED
                : lower.contains("non-fatal")
                        ? Severity.RECOVERABLE
                        : lower.contains("fatal") ? Severity.FATAL : Severity.RECOVERABLE;
    }
}
