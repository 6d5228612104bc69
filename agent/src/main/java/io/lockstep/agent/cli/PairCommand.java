package io.lockstep.agent.cli;

import io.lockstep.agent.AgentPaths;
import io.lockstep.agent.config.AgentConfig;
import io.lockstep.agent.pairing.Pairing;
import io.lockstep.agent.pairing.Pairing.Introduction;
import io.lockstep.agent.pairing.PeerEntry;
import io.lockstep.replication.LockstepException;
import io.lockstep.replication.link.Identity;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.Charset;
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
    private static final int CONNECT_MS = 10_000;
    private static final int WAIT_MS = 300_000;

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
        AgentPaths paths = root.paths();
        AgentConfig config = AgentConfig.load(paths);
        Introduction self = new Introduction(
                name == null ? InetAddress.getLocalHost().getHostName() : name,
                config.listen().port(),
                Identity.openOrCreate(paths.identity()).fingerprint());
        try (Socket socket = listen ? accept() : connect(String.valueOf(host))) {
            socket.setSoTimeout(WAIT_MS);
            Introduction other =
                    Pairing.exchange(socket.getInputStream(), socket.getOutputStream(), !listen, self, this::ask);
            String address = listen ? socket.getInetAddress().getHostAddress() : String.valueOf(host);
            String where = (address.contains(":") ? "[" + address + "]" : address) + ":" + other.port();
            PeerEntry.append(paths, other.name(), where, other.fingerprint());
            spec.commandLine()
                    .getOut()
                    .println("peer " + other.name() + " at " + where + " is in " + paths.configuration()
                            + ". Restart the agent: systemctl restart lockstep-agent.");
        }
        return ExitCode.OK;
    }

    private Socket accept() throws IOException {
        try (ServerSocket server = new ServerSocket(port, 1)) {
            server.setSoTimeout(WAIT_MS);
            spec.commandLine()
                    .getErr()
                    .println("waiting for `lockstep pair` on the other host, at port " + server.getLocalPort());
            return server.accept();
        }
    }

    private Socket connect(String to) throws IOException {
        Socket socket = new Socket();
        socket.connect(new InetSocketAddress(to, port), CONNECT_MS);
        return socket;
    }

    private boolean ask(String code, Introduction other) throws IOException {
        spec.commandLine()
                .getOut()
                .println("host " + other.name() + ", " + other.fingerprint() + "\ncode: " + code
                        + "\nDoes the other host show the same code? [yes/no]");
        spec.commandLine().getOut().flush();
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, Charset.defaultCharset()));
        return "yes".equals(in.readLine());
    }
}
