package io.lockstep.agent.doctor;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/** Whether the programs are there. */
final class SoftwareChecks {
    private static final List<String> QEMU = List.of("qemu-system-x86_64", "qemu-kvm");
    private static final List<Path> ELSEWHERE = List.of(Path.of("/usr/libexec"), Path.of("/usr/bin"));
    private static final int JAVA_MIN = 17;

    private final String searchPath;

    SoftwareChecks(String searchPath) {
        this.searchPath = searchPath;
    }

    void examine(List<Finding> findings) {
        int java = Runtime.version().feature();
        findings.add(
                java >= JAVA_MIN
                        ? Finding.ok("jdk", "Java " + Runtime.version())
                        : Finding.missing(
                                "jdk", "Java " + java + " < " + JAVA_MIN, "Install openjdk-17-jre-headless or newer."));
        findings.add(qemu());
    }

    private Finding qemu() {
        for (String name : QEMU) {
            for (String directory : searchPath.split(":", -1)) {
                Path program = Path.of(directory, name);
                if (!directory.isEmpty() && Files.isExecutable(program)) {
                    return Finding.ok("qemu", program.toString());
                }
            }
            for (Path directory : ELSEWHERE) {
                if (Files.isExecutable(directory.resolve(name)) && searchPath.isEmpty()) {
                    return Finding.ok("qemu", directory.resolve(name).toString());
                }
            }
        }
        return Finding.missing(
                "qemu",
                "no " + String.join(" or ", QEMU) + " in " + searchPath + ": no standby can be started here",
                "Install qemu-system-x86 (Debian, Ubuntu) or qemu-kvm (RHEL).");
    }
}
