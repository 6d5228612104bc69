package io.lockstep.agent.demo;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;

/** A JVM that says that it runs, and then waits until its input ends. */
final class Sleeper {
    private Sleeper() {}

    /** Starts one, with a text among its arguments; returns when it runs. */
    static Process start(String argument) throws IOException {
        String java = Path.of(System.getProperty("java.home"), "bin", "java").toString();
        String classPath = System.getProperty("java.class.path");
        Process process = new ProcessBuilder(
                        List.of(java, "-Xmx32m", "-cp", classPath, Sleeper.class.getName(), argument))
                .start();
        if (process.getInputStream().read() != '+') {
            throw new IOException("the sleeper ended");
        }
        return process;
    }

    /** Waits. */
    public static void main(String[] arguments) throws IOException {
        System.out.write('+');
        System.out.flush();
        System.exit(System.in.read());
    }
}
