package io.lockstep.agent.cli;

import io.lockstep.telemetry.decode.MachineCheck;
import io.lockstep.telemetry.decode.MachineCheckDecoder;
import io.lockstep.telemetry.event.HardwareEvent;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;
import picocli.CommandLine.TypeConversionException;

/** {@code lockstep hardware decode}: what a machine check's numbers mean. Needs no agent. */
@Command(
        name = "decode",
        mixinStandardHelpOptions = true,
        description = "Say in plain words what the numbers of a machine check mean; hexadecimal, with or without 0x.")
final class HardwareDecodeCommand implements Callable<Integer> {
    @Parameters(paramLabel = "STATUS", converter = Hexadecimal.class, description = "IA32_MCi_STATUS, or MCA_STATUS.")
    long status;

    @Option(names = "--misc", converter = Hexadecimal.class, description = "IA32_MCi_MISC.")
    long misc;

    @Option(names = "--addr", converter = Hexadecimal.class, description = "IA32_MCi_ADDR.")
    long addr;

    @Option(names = "--mcgstatus", converter = Hexadecimal.class, description = "IA32_MCG_STATUS.")
    long mcgStatus;

    @Option(names = "--mcgcap", converter = Hexadecimal.class, description = "IA32_MCG_CAP.")
    long mcgCap;

    @Option(
            names = "--cpuid",
            converter = Hexadecimal32.class,
            description = "EAX of CPUID leaf 1, e.g. 50654: without it no code of a processor model is known.")
    long cpuid;

    @Option(
            names = "--bank",
            converter = Bank.class,
            description = "Bank, decimal, or hexadecimal with 0x: 0 to 255; 128 is thermal, 255 from firmware.")
    int bank;

    @Option(names = "--synd", converter = Hexadecimal.class, description = "MCA_SYND of AMD's processors.")
    long synd;

    @Option(
            names = "--ipid",
            converter = Hexadecimal.class,
            description = "MCA_IPID of AMD's processors: with it, it is one.")
    long ipid;

    @Option(names = "--json", description = "Print JSON.")
    boolean json;

    @Spec
    @SuppressWarnings("NullAway.Init") // picocli sets it before call()
    CommandSpec spec;

    @Override
    public Integer call() {
        HardwareEvent event = MachineCheckDecoder.decode(new MachineCheck(
                0,
                MachineCheck.vendorOf((int) cpuid, synd, ipid),
                (int) cpuid,
                -1,
                -1,
                bank,
                0,
                mcgCap,
                mcgStatus,
                status,
                addr,
                misc,
                synd,
                ipid,
                0,
                0));
        String kind = event.kind().name().toLowerCase(Locale.ROOT);
        String severity = event.severity().name().toLowerCase(Locale.ROOT);
        spec.commandLine()
                .getOut()
                .println(
                        json
                                ? "{\"kind\":\"" + kind + "\",\"severity\":\"" + severity + "\",\"component\":"
                                        + AgentCall.quoted(event.component().words())
                                        + (event.address() == HardwareEvent.NO_ADDRESS
                                                ? ""
                                                : ",\"address\":\"0x" + Long.toHexString(event.address()) + "\"")
                                        + ",\"count\":" + event.count() + ",\"immediate\":" + event.immediate()
                                        + ",\"line\":"
                                        + AgentCall.quoted(event.line()) + "}"
                                : event.line());
        return ExitCode.OK;
    }

    /** 0 to 255. */
    static final class Bank implements ITypeConverter<Integer> {
        @Override
        public Integer convert(String text) {
            boolean hexadecimal = text.matches("0[xX][0-9a-fA-F]{1,2}");
            if (!hexadecimal && !text.matches("[0-9]{1,3}")) {
                throw new TypeConversionException("'" + text + "' is not a number in 0..255");
            }
            int bank = hexadecimal ? Integer.parseInt(text.substring(2), 16) : Integer.parseInt(text);
            if (bank > 255) {
                throw new TypeConversionException("'" + text + "' is not a number in 0..255");
            }
            return bank;
        }
    }

    /** Hexadecimal of at most 32 bits. */
    static final class Hexadecimal32 implements ITypeConverter<Long> {
        @Override
        public Long convert(String text) {
            String digits = text.replaceFirst("^0[xX]", "");
            if (!digits.matches("0*[0-9a-fA-F]{1,8}")) {
                throw new TypeConversionException("'" + text + "' is not a hexadecimal number of 32 bits");
            }
            return Long.parseUnsignedLong(digits, 16);
        }
    }

    /** Hexadecimal of at most 64 bits. */
    static final class Hexadecimal implements ITypeConverter<Long> {
        @Override
        public Long convert(String text) {
            String digits = text.replaceFirst("^0[xX]", "");
            if (!digits.matches("[0-9a-fA-F]{1,16}")) {
                throw new TypeConversionException("'" + text + "' is not a hexadecimal number of 64 bits");
            }
            return Long.parseUnsignedLong(digits, 16);
        }
    }
}
