package io.lockstep.agent.cli;

import io.lockstep.agent.AgentPaths;
import io.lockstep.agent.AgentProcess;
import io.lockstep.replication.LockstepException;
import java.io.File;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.Writer;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.jar.JarEntry;
import java.util.jar.JarFile;
import java.util.stream.Stream;
import picocli.CommandLine;
import picocli.CommandLine.Command;

/**
 * Does once what an agent does when it starts, and what its commands do that ask no VM anything, under a root of its own, and loads all other classes
 * of ours: run with {@code -XX:ArchiveClassesAtExit}, it leaves the archive that makes the next start fast. A class that is not in it is read
 * from its jar when it is first used, half a millisecond each: in the midst of the first promotion.
 */
@Command(name = "warm-up", hidden = true, description = "Load the classes of an agent and its commands, and end.")
final class WarmUpCommand implements Callable<Integer> {
    private static final String OWN = "io/lockstep/";
    private static final String CLASS = ".class";

    @Override
    public Integer call() throws LockstepException, IOException {
        Path root = Files.createTempDirectory("lockstep-");
        try {
            AgentPaths paths = AgentPaths.under(root);
            Files.createDirectories(paths.configuration().getParent());
            Files.writeString(paths.configuration(), "[listen]\naddress = \"127.0.0.1\"\nport = " + freePort() + "\n");
            AgentProcess agent = AgentProcess.start(paths, false);
            try {
                for (String command : List.of("vms", "status", "identity")) {
                    CommandLine commandLine = Main.commandLine();
                    commandLine.setOut(new PrintWriter(Writer.nullWriter()));
                    commandLine.setErr(new PrintWriter(Writer.nullWriter()));
                    commandLine.execute(command, "--root", root.toString());
                }
                for (String jar : System.getProperty("java.class.path").split(File.pathSeparator, -1)) {
                    loadOwnClasses(Path.of(jar));
                }
                return ExitCode.OK;
            } finally {
                agent.close();
            }
        } finally {
            remove(root);
        }
    }

    private static void loadOwnClasses(Path jar) throws IOException {
        if (!Files.isRegularFile(jar)) {
            return;
        }
        try (JarFile classes = new JarFile(jar.toFile())) {
            for (JarEntry entry : Collections.list(classes.entries())) {
                String file = entry.getName();
                if (file.startsWith(OWN) && file.endsWith(CLASS) && !file.endsWith("package-info" + CLASS)) {
                    String name =
                            file.substring(0, file.length() - CLASS.length()).replace('/', '.');
                    Class.forName(name, false, WarmUpCommand.class.getClassLoader());
                }
            }
        } catch (ClassNotFoundException | LinkageError e) {
            throw new IOException(jar + " has a class that cannot be loaded: " + e, e);
        }
    }

    private static int freePort() throws IOException {
        try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            return socket.getLocalPort();
        }
    }

    private static void remove(Path root) throws IOException {
        List<Path> files;
        try (Stream<Path> walk = Files.walk(root)) {
            files = walk.sorted(Comparator.reverseOrder()).toList();
        }
        for (Path file : files) {
            Files.deleteIfExists(file);
        }
    }
}
