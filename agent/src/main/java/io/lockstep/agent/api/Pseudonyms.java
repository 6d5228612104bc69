package io.lockstep.agent.api;

import io.lockstep.agent.VmOperations;
import io.lockstep.agent.view.VmSummary;
import io.lockstep.replication.LockstepException;
import java.nio.charset.StandardCharsets;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;
import java.util.zip.CRC32C;

/** Names of guests, and what stands for them where a reader may not see them: {@code vm-} and eight digits, the same in every answer. */
final class Pseudonyms {
    /** Everybody is called what he is called. */
    static final Pseudonyms NONE = new Pseudonyms(Set.of());

    private static final Pattern QMP_PATH = Pattern.compile("(\"qmpPath\":)\"(?:[^\"\\\\]|\\\\.)*\"");

    private final Map<String, String> hidden = new LinkedHashMap<>();

    private Pseudonyms(Set<String> names) {
        // The longest first: a name may be part of another.
        names.stream()
                .sorted(Comparator.comparingInt(String::length).reversed())
                .forEach(name -> hidden.put(name, pseudonym(name)));
    }

    /** Of every VM that is known here. */
    static Pseudonyms of(VmOperations operations) throws LockstepException {
        Set<String> names = new TreeSet<>();
        operations.vms().stream().map(VmSummary::name).forEach(names::add);
        operations.protections().forEach(protection -> names.add(protection.vm()));
        operations.replicas().forEach(replica -> names.add(replica.vm()));
        operations.events().after(0, Integer.MAX_VALUE).events().stream()
                .filter(event -> !event.kind().equals(io.lockstep.agent.events.AgentEvent.HARDWARE))
                .forEach(event -> names.add(event.subject()));
        names.remove("");
        return new Pseudonyms(names);
    }

    /** What stands for a name. */
    String of(String name) {
        return hidden.isEmpty() ? name : hidden.getOrDefault(name, pseudonym(name));
    }

    /** A text, e.g. JSON, without the names: as whole words, and the paths of monitors as a whole. */
    String hide(String text) {
        if (hidden.isEmpty()) {
            return text;
        }
        String without = QMP_PATH.matcher(text).replaceAll("$1null");
        for (Map.Entry<String, String> name : hidden.entrySet()) {
            without = Pattern.compile("(?<![A-Za-z0-9_])" + Pattern.quote(name.getKey()) + "(?![A-Za-z0-9_])")
                    .matcher(without)
                    .replaceAll(name.getValue());
        }
        return without;
    }

    /** A path whose pseudonyms are names again. */
    List<String> real(List<String> path) {
        return path.stream()
                .map(segment -> hidden.entrySet().stream()
                        .filter(name -> name.getValue().equals(segment))
                        .map(Map.Entry::getKey)
                        .findFirst()
                        .orElse(segment))
                .toList();
    }

    private static String pseudonym(String name) {
        CRC32C hash = new CRC32C();
        hash.update(name.getBytes(StandardCharsets.UTF_8));
        return String.format("vm-%08x", hash.getValue());
    }
}
