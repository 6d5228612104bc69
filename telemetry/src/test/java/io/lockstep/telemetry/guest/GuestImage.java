package io.lockstep.telemetry.guest;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import com.sun.jna.Native;
import com.sun.jna.platform.linux.LibC;
import io.lockstep.linux.Poll;
import io.lockstep.telemetry.watch.HardwareWatch;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.slf4j.Logger;
import oshi.SystemInfo;
import oshi.hardware.CentralProcessor;

/** The hardware guest's kernel and initrd, with a Java runtime and this module's classes inside. */
record GuestImage(Path kernel, Path initrd) {
    private static final Pattern LIBRARY = Pattern.compile("(/[^ ]+\\.so[^ ]*) \\(");

    /**
     * Makes them below a directory.
     *
     * @param files further files of the guest's {@code /agent}, by name
     */
    static GuestImage make(Path directory, Map<String, byte[]> files) throws Exception {
        Path build = Path.of(System.getProperty("lockstep.project"), "agent/guests/build.sh");
        Path guests = Path.of(run(build.toString(), "--hardware").trim());
        Path overlay = overlay(directory, files);
        Path initrd = directory.resolve("initrd");
        try (OutputStream out = Files.newOutputStream(initrd)) {
            Files.copy(guests.resolve("hardware.cpio"), out);
            Files.copy(overlay, out);
        }
        return new GuestImage(guests.resolve("hardware.vmlinuz"), initrd);
    }

    private static Path overlay(Path directory, Map<String, byte[]> files) throws Exception {
        Path root = directory.resolve("root");
        Path home = Files.createDirectories(root.resolve("agent"));
        runtime(home.resolve("java"));
        List<String> classPath = new ArrayList<>();
        for (Class<?> type : List.of(
                GuestWatchMain.class,
                HardwareWatch.class,
                Poll.class,
                Native.class,
                LibC.class,
                SystemInfo.class,
                CentralProcessor.class,
                Logger.class)) {
            classPath.add("/agent/" + add(type, home, classPath.size()));
        }
        Path script = home.resolve("watch");
        // One compiler and no large heap: the guest's processors are slow, and its memory is small.
        Files.writeString(
                script,
                "#!/bin/sh\nexec /agent/java/bin/java -Xmx128m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Djava.io.tmpdir=/tmp -cp "
                        + String.join(":", classPath) + " " + GuestWatchMain.class.getName() + " \"$@\"\n");
        assertThat(script.toFile().setExecutable(true)).isTrue();
        for (Map.Entry<String, byte[]> file : files.entrySet()) {
            Files.write(home.resolve(file.getKey()), file.getValue());
        }
        libraries(root, home.resolve("java"));
        Path overlay = directory.resolve("overlay.cpio");
        run("sh", "-c", "cd " + root + " && find . | cpio --quiet -o -H newc -R 0:0 >" + overlay);
        return overlay;
    }

    /** A small runtime by jlink where this JDK can make one; else its own files. */
    private static void runtime(Path target) throws Exception {
        Path home = Path.of(System.getProperty("java.home"));
        Process jlink = new ProcessBuilder(
                        home.resolve("bin/jlink").toString(),
                        "--add-modules",
                        "java.base,java.logging,jdk.unsupported",
                        "--strip-debug",
                        "--no-header-files",
                        "--no-man-pages",
                        "--output",
                        target.toString())
                .redirectErrorStream(true)
                .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                .start();
        if (jlink.waitFor() != 0) {
            run(
                    "sh",
                    "-c",
                    "rm -rf " + target + " && mkdir -p " + target + "/bin && cp -rL " + home + "/lib " + home + "/conf "
                            + target + " && cp -L " + home + "/bin/java " + target + "/bin && rm -f " + target
                            + "/lib/src.zip " + target + "/lib/ct.sym");
        }
    }

    /** Copies the jar or the directory that a class comes from. */
    private static String add(Class<?> type, Path home, int number) throws Exception {
        Path source =
                Path.of(type.getProtectionDomain().getCodeSource().getLocation().toURI());
        Path target = home.resolve("classes" + number + (Files.isDirectory(source) ? "" : ".jar"));
        run("cp", "-rL", source.toString(), target.toString());
        return target.getFileName().toString();
    }

    /** The shared libraries that the runtime's programs ask for, at the paths of this host. */
    private static void libraries(Path root, Path java) throws Exception {
        Set<Path> wanted = new LinkedHashSet<>();
        for (String program : List.of("bin/java", "lib/server/libjvm.so", "lib/libjava.so", "lib/libnio.so")) {
            Matcher matcher = LIBRARY.matcher(run("ldd", java.resolve(program).toString()));
            while (matcher.find()) {
                wanted.add(Path.of(matcher.group(1)));
            }
        }
        wanted.add(Path.of("/lib64/ld-linux-x86-64.so.2"));
        try (Stream<Path> own = wanted.stream().filter(library -> !library.startsWith(java))) {
            for (Path library : (Iterable<Path>) own::iterator) {
                Path target = root.resolve(library.toString().substring(1));
                Files.createDirectories(target.getParent());
                Files.copy(library.toRealPath(), target, StandardCopyOption.REPLACE_EXISTING);
            }
        }
    }

    private static String run(String... command) throws Exception {
        Process process;
        try {
            process = new ProcessBuilder(command)
                    .redirectError(ProcessBuilder.Redirect.INHERIT)
                    .start();
        } catch (IOException e) {
            throw new IOException(command[0] + " is needed: " + e.getMessage(), e);
        }
        String output = new String(process.getInputStream().readAllBytes(), UTF_8);
        assertThat(process.waitFor()).as(String.join(" ", command)).isZero();
        return output;
    }
}
