package io.lockstep.linux;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;

/** Another process that maps memory and writes, punches and reads into it when told; its source is page_helper.c. */
public final class PageHelper implements AutoCloseable {
    public static final long PAGE = 4096;

    private static Path binary;

    private final Process process;
    private final BufferedWriter commands;
    private final BufferedReader answers;
    private final long pid;
    private long area;
    private int fd;

    public PageHelper() throws IOException, InterruptedException {
        process = new ProcessBuilder(binary().toString())
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
        commands = process.outputWriter(UTF_8);
        answers = process.inputReader(UTF_8);
        pid = Long.parseLong(answer());
    }

    /** Compiles the helper, once per JVM, or takes the one that the property lockstep.pageHelper names. */
    public static synchronized Path binary() throws IOException, InterruptedException {
        String prebuilt = System.getProperty("lockstep.pageHelper");
        if (prebuilt != null) {
            return Path.of(prebuilt);
        }
        if (binary == null) {
            Path directory = Files.createTempDirectory("page-helper");
            Path source = directory.resolve("page_helper.c");
            try (InputStream in = PageHelper.class.getResourceAsStream("/page_helper.c")) {
                Files.copy(in, source, StandardCopyOption.REPLACE_EXISTING);
            }
            Path built = directory.resolve("page_helper");
            Process gcc;
            try {
                gcc = new ProcessBuilder(
                                "gcc",
                                "-O2",
                                "-Wall",
                                "-Wextra",
                                "-Werror",
                                "-static",
                                "-pthread",
                                "-o",
                                built.toString(),
                                source.toString())
                        .redirectErrorStream(true)
                        .start();
            } catch (IOException e) {
                throw new IOException("the kernel tests need gcc: apt-get install gcc libc6-dev", e);
            }
            String output = new String(gcc.getInputStream().readAllBytes(), UTF_8);
            if (gcc.waitFor() != 0) {
                throw new IOException("gcc: " + output);
            }
            binary = built;
        }
        return binary;
    }

    public long pid() {
        return pid;
    }

    /** Maps pages: {@code private}, {@code memfd} or {@code file PATH}. */
    public long map(String kind, long pages, String path) throws IOException {
        String[] answer = ask("map " + kind + " " + pages + " " + path).split(" ", -1);
        area = Long.parseLong(answer[0]);
        fd = Integer.parseInt(answer[1]);
        return area;
    }

    /** Address of a page of what was mapped. */
    public long page(long index) {
        return area + index * PAGE;
    }

    /** The mapped file's descriptor in the process. */
    public int fd() {
        return fd;
    }

    /** Fills a page with one byte value. */
    public void write(long page, int value) throws IOException {
        String answer = ask("write " + page + " " + value);
        if (!answer.equals("ok")) {
            throw new IOException(answer);
        }
    }

    /** Sends a command and waits for its one line of answer. */
    public String ask(String command) throws IOException {
        tell(command);
        return answer();
    }

    public void tell(String command) throws IOException {
        commands.write(command);
        commands.newLine();
        commands.flush();
    }

    public String answer() throws IOException {
        String line = answers.readLine();
        if (line == null) {
            throw new IOException("page_helper ended");
        }
        return line;
    }

    public boolean alive() {
        return process.isAlive();
    }

    @Override
    public void close() {
        process.destroyForcibly();
    }
}
