package io.lockstep.agent.system;

import io.lockstep.linux.ProcMaps;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * What a stranger can leave in a process.
 *
 * @param descriptors targets of its descriptors, sorted
 * @param watched its mappings that a userfaultfd is registered for
 * @param tracer process that traces it; 0 for none
 */
record Traces(List<String> descriptors, List<String> watched, String tracer) {
    static Traces of(long pid) throws IOException {
        Path process = Path.of("/proc/" + pid);
        List<String> descriptors = new ArrayList<>();
        try (Stream<Path> list = Files.list(process.resolve("fd"))) {
            for (Path fd : list.toList()) {
                target(fd).ifPresent(descriptors::add);
            }
        }
        Collections.sort(descriptors);
        List<String> watched = ProcMaps.detailed(pid).stream()
                .filter(m -> m.vmFlags().contains("uw") || m.vmFlags().contains("um"))
                .map(ProcMaps.Mapping::toString)
                .toList();
        String tracer = Files.readAllLines(process.resolve("status")).stream()
                .filter(line -> line.startsWith("TracerPid:"))
                .findFirst()
                .orElseThrow();
        return new Traces(descriptors, watched, tracer.substring(10).strip());
    }

    private static Optional<String> target(Path fd) throws IOException {
        try {
            return Optional.of(Files.readSymbolicLink(fd).toString());
        } catch (NoSuchFileException e) {
            return Optional.empty(); // Closed meanwhile.
        }
    }
}
