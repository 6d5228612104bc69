package io.lockstep.replication.memory;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import com.sun.jna.Native;
import io.lockstep.linux.PageHelper;
import io.lockstep.linux.RemoteMemory;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import net.jpountz.xxhash.XXHashFactory;
import org.agrona.concurrent.UnsafeBuffer;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * The soft-dirty tracker where soft-dirty bits exist: in a virtual machine with the distribution's kernel, whatever kernel this host has.
 * The JVM, the classes and the helper process go into an initrd that is appended to the linux guest's.
 */
@Tag("system")
@Timeout(420)
class SoftDirtyGuestTest {
    private static final Pattern LIBRARY = Pattern.compile("(/[^ ]+\\.so[^ ]*) \\(");

    @TempDir
    Path directory;

    @Test
    void shouldTrackWritesWhenKernelHasSoftDirtyBits() throws Exception {
        Path guests = Path.of(run(Path.of(System.getProperty("lockstep.project"), "agent/guests/build.sh")
                        .toString())
                .trim());
        Path initrd = directory.resolve("initrd.gz");
        try (OutputStream out = Files.newOutputStream(initrd)) {
            Files.copy(guests.resolve("initrd.gz"), out);
            Files.copy(overlay(), out);
        }
        Path serial = directory.resolve("serial");
        Process qemu = new ProcessBuilder(
                        "qemu-system-x86_64",
                        "-accel",
                        "tcg",
                        "-m",
                        "1024",
                        "-nodefaults",
                        "-no-reboot",
                        "-display",
                        "none",
                        "-serial",
                        "file:" + serial,
                        "-kernel",
                        guests.resolve("vmlinuz").toString(),
                        "-initrd",
                        initrd.toString(),
                        "-append",
                        "console=ttyS0 quiet panic=-1 run=/soft-dirty/run")
                .redirectErrorStream(true)
                .redirectOutput(directory.resolve("qemu.log").toFile())
                .start();
        boolean ended;
        try {
            ended = qemu.waitFor(300, TimeUnit.SECONDS);
        } finally {
            qemu.destroyForcibly();
        }
        String output = Files.readString(serial, UTF_8) + Files.readString(directory.resolve("qemu.log"), UTF_8);
        assertThat(ended).as(output).isTrue();
        List<String> said = output.lines()
                .map(String::strip)
                .filter(line -> line.startsWith("guest:"))
                .toList();
        List<String> expected = new ArrayList<>();
        for (String kind : List.of("private", "memfd")) {
            expected.add("guest: " + kind + " best soft-dirty");
            expected.add("guest: " + kind + " quiet []");
            expected.add("guest: " + kind + " peeked [0, 99, 101, 1023]");
            expected.add("guest: " + kind + " scanned [0, 99, 101, 1023]");
            expected.add("guest: " + kind + " again []");
            expected.add("guest: " + kind + " then [3, 99]");
        }
        expected.add("guest: memfd discarded at first 0");
        expected.add("guest: memfd discarded 15 from 160");
        expected.add("guest: memfd discarded again 0");
        expected.add("guest: done");
        assertThat(said).as(output).containsSubsequence(expected);
        assertThat(said)
                .as(output)
                .anyMatch(
                        line -> line.matches("guest: private userfaultfd-wp false kernel .* has no PAGEMAP_SCAN: needs"
                                + " Linux 6.7 or newer"))
                .contains("guest: private soft-dirty true 8 bytes read per page and scan; scans only at stops")
                .contains("guest: private content-hash true reads all memory at each scan; scans only at stops");
    }

    /** An initrd with everything under /soft-dirty and the C library where programs look for it. */
    private Path overlay() throws Exception {
        Path root = directory.resolve("root");
        Path home = Files.createDirectories(root.resolve("soft-dirty"));
        runtime(home.resolve("java"));
        List<String> classPath = new ArrayList<>();
        for (Class<?> type : List.of(
                SoftDirtyGuestMain.class,
                DirtyTracker.class,
                RemoteMemory.class,
                PageHelper.class,
                Native.class,
                UnsafeBuffer.class,
                XXHashFactory.class)) {
            classPath.add("/soft-dirty/" + add(type, home, classPath.size()));
        }
        Files.copy(PageHelper.binary(), home.resolve("page_helper"));
        Path script = home.resolve("run");
        Files.writeString(
                script,
                "#!/bin/busybox sh\n/bin/busybox mkdir -p /tmp\nexec /soft-dirty/java/bin/java -Xmx128m -Djava.io.tmpdir=/tmp"
                        + " --add-opens=java.base/jdk.internal.misc=ALL-UNNAMED"
                        + " --add-opens=java.base/sun.nio.ch=ALL-UNNAMED --add-opens=java.base/java.lang=ALL-UNNAMED"
                        + " -Dlockstep.pageHelper=/soft-dirty/page_helper -cp " + String.join(":", classPath) + " "
                        + SoftDirtyGuestMain.class.getName() + "\n");
        assertThat(script.toFile().setExecutable(true)).isTrue();
        libraries(root, home.resolve("java"));
        run("sh", "-c", "cd " + root + " && find . | cpio --quiet -o -H newc -R 0:0 | gzip -1 > ../overlay.gz");
        return directory.resolve("overlay.gz");
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
                    "mkdir -p " + target + "/bin && cp -rL " + home + "/lib " + home + "/conf " + target
                            + " && cp -L " + home + "/bin/java " + target + "/bin && rm -f " + target + "/lib/src.zip "
                            + target + "/lib/ct.sym");
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
