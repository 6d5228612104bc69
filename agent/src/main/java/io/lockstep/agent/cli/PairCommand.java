package io.lockstep.agent.cli;

import io.lockstep.agent.AgentPaths;
import io.lockstep.agent.config.AgentConfig;
import io.lockstep.agent.pairing.Meeting;
import io.lockstep.agent.pairing.Meeting.Met;
import io.lockstep.agent.pairing.Pairing;
import io.lockstep.agent.pairing.Pairing.Introduction;
import io.lockstep.agent.pairing.PeerEntry;
import io.lockstep.replication.LockstepException;
import io.lockstep.replication.link.Identity;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.Charset;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code lockstep pair}: works on the files, because agents that do not know each other cannot talk. */
@Command(
        name = "pair",
        description =
                "Make this host and another know each other: run it with --listen there, and with its name here. Both show a code, which"
                        + " you compare, and write the other into their configuration.")
final class PairCommand implements Callable<Integer> {
    private static final int PORT = 7501;
    private static final int PORT_MAX = 65_535;
    private static final int WAIT_MS = 300_000;
    private static final Path HOST_NAME = Path.of("/proc/sys/kernel/hostname");

    @Mixin
    RootOption root = new RootOption();

    @Parameters(paramLabel = "HOST", arity = "0..1", description = "The other host, where --listen runs.")
    @Nullable
    String host;

    @Option(names = "--listen", description = "Wait for the other host, five minutes at most.")
    boolean listen;

    @Option(
            names = "--port",
            paramLabel = "PORT",
            defaultValue = "" + PORT,
            description = "TCP port for the pairing (default: 7501).")
    int port;

    @Option(
            names = "--name",
            paramLabel = "NAME",
            description = "What the other host shall call this one (default: its host name).")
    @Nullable
    String name;

    @Spec
    @SuppressWarnings("NullAway.Init") // picocli sets it before call()
    CommandSpec spec;

    @Override
    public Integer call() throws LockstepException, IOException {
        if (listen == (host != null)) {
            throw new ParameterException(spec.commandLine(), "name the other host, or give --listen: one of both");
        }
        if (port < 1 || port > PORT_MAX) {
            throw new ParameterException(spec.commandLine(), "--port " + port + " is not in 1.." + PORT_MAX);
        }
        AgentPaths paths = root.paths();
        AgentConfig config = AgentConfig.load(paths);
        Introduction self = new Introduction(
                ownName(),
                config.listen().port(),
                Identity.openOrCreate(paths.identity()).fingerprint());
        Meeting meeting = new Meeting(port, WAIT_MS);
        Met met = host == null
                ? meeting.listen(self, spec.commandLine().getErr()::println, (code, other) -> ask(code, other, paths))
                : meeting.dial(host, self, (code, other) -> ask(code, other, paths));
        PeerEntry entry = entry(met.other(), met.host());
        boolean known = entry.isIn(paths);
        entry.append(paths);
        spec.commandLine()
                .getOut()
                .println("peer " + entry.name() + (known ? "" : " at " + entry.address())
                        + (known ? " was in " : " is in ")
                        + paths.configuration()
                        + (known ? " already." : ". Restart the agent: systemctl restart lockstep-agent."));
        return ExitCode.OK;
    }

    private String ownName() throws LockstepException, IOException {
        String own = name == null ? Files.readString(HOST_NAME).trim() : name;
        if (!Pairing.isName(own)) {
            throw new LockstepException(
                    "pairing-name",
                    "'" + own
                            + "' is no name for a table of the other host's configuration: it must have 1 to 63 letters,"
                            + " digits, dots and dashes. Give one with --name.");
        }
        return own;
    }

    private static PeerEntry entry(Introduction other, String host) {
        String address = (host.contains(":") ? "[" + host + "]" : host) + ":" + other.port();
        return new PeerEntry(other.name(), address, other.fingerprint());
    }

    /** Asks only if the answer could be written down. */
    private boolean ask(String code, Introduction other, AgentPaths paths) throws LockstepException, IOException {
        entry(other, "unused").isIn(paths);
        spec.commandLine()
                .getOut()
                .println("host " + other.name() + ", " + other.fingerprint() + "\ncode: " + code
                        + "\nDoes the other host show the same code? [yes/no]");
        spec.commandLine().getOut().flush();
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, Charset.defaultCharset()));
        return "yes".equals(in.readLine());
    }
}
