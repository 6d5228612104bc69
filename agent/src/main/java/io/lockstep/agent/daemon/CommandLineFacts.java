package io.lockstep.agent.daemon;

import io.lockstep.replication.hypervisor.QemuProcess;
import java.math.BigInteger;
import java.util.List;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** What a QEMU's command line says of it, for a listing that must not disturb its monitor. */
final class CommandLineFacts {
    private static final Pattern SIZE = Pattern.compile("(?:size=)?(\\d+)([bkmgtBKMGT]?)(?:[,iB].*)?");
    private static final Pattern ACCELERATOR = Pattern.compile("(?:^|accel=)(kvm|tcg)");
    private static final long MIB = 1 << 20;

    /** QEMU's default. */
    private static final long MEMORY_DEFAULT = 128 * MIB;

    private CommandLineFacts() {}

    /** Of {@code -m}, in bytes; 0 if it cannot be read. */
    static long memoryBytes(QemuProcess process) {
        if (process.memory().isEmpty()) {
            return MEMORY_DEFAULT;
        }
        Matcher matcher = SIZE.matcher(process.memory());
        if (!matcher.matches()) {
            return 0;
        }
        long unit =
                switch (matcher.group(2).toLowerCase(Locale.ROOT)) {
                    case "b" -> 1;
                    case "k" -> 1 << 10;
                    case "g" -> 1 << 30;
                    case "t" -> 1L << 40;
                    default -> MIB;
                };
        BigInteger bytes = new BigInteger(matcher.group(1)).multiply(BigInteger.valueOf(unit));
        return bytes.bitLength() < Long.SIZE ? bytes.longValue() : 0;
    }

    /** {@code kvm} or {@code tcg}; null if the command line leaves it open. */
    static @Nullable String accelerator(QemuProcess process) {
        List<String> arguments = process.commandLine();
        for (int i = 0; i < arguments.size(); i++) {
            String option = arguments.get(i);
            if (option.equals("-enable-kvm") || option.equals("--enable-kvm")) {
                return "kvm";
            }
            boolean names = option.endsWith("-accel") || option.endsWith("-machine") || option.equals("-M");
            if (names && i + 1 < arguments.size()) {
                Matcher matcher = ACCELERATOR.matcher(arguments.get(i + 1));
                if (matcher.find()) {
                    return matcher.group(1);
                }
            }
        }
        return null;
    }
}
