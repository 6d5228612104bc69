package io.lockstep.agent.api;

import io.lockstep.agent.VmOperations;
import io.lockstep.agent.events.AgentEvent;
import io.lockstep.agent.view.VmSummary;
import io.lockstep.replication.LockstepException;
import java.nio.charset.StandardCharsets;
import java.util.Comparator;
import java.util.Map;
import java.util.NavigableMap;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.regex.Pattern;
import java.util.zip.CRC32C;

/**
 * Names of guests, and what stands for them where a reader may not see them: {@code vm-} and eight digits, the same in every answer. Any thread.
 */
final class Pseudonyms {
    /** Everybody is called what he is called. */
    static final Pseudonyms NONE = new Pseudonyms(false);

    private static final Pattern PSEUDONYM_OR_PID = Pattern.compile("vm-[0-9a-f]{8}|(pid:)?[0-9]+");

    private final boolean hiding;
    /** The longest first: a name may be part of another. */
    private final NavigableMap<String, String> hidden = new ConcurrentSkipListMap<>(
            Comparator.comparingInt(String::length).reversed().thenComparing(Comparator.naturalOrder()));

    private Pseudonyms(boolean hiding) {
        this.hiding = hiding;
    }

    /** Of every VM that is known here. */
    static Pseudonyms of(VmOperations operations) throws LockstepException {
        Pseudonyms names = new Pseudonyms(true);
        operations.vms().stream().map(VmSummary::name).forEach(names::add);
        operations.protections().forEach(protection -> names.add(protection.vm()));
        operations.replicas().forEach(replica -> names.add(replica.vm()));
        operations.events().after(0, Integer.MAX_VALUE).events().forEach(names::addSubject);
        return names;
    }

    private void add(String name) {
        if (!name.isEmpty()) {
            hidden.put(name, pseudonym(name));
        }
    }

    /** Hides from now on also the VM that an event is about: it may have come after all others were asked for. */
    void addSubject(AgentEvent event) {
        if (hiding && !event.kind().equals(AgentEvent.HARDWARE)) {
            add(event.subject());
        }
    }

    /** Whether names are hidden at all. */
    boolean hiding() {
        return hiding;
    }

    /** What stands for a name. */
    String of(String name) {
        return hiding ? pseudonym(name) : name;
    }

    /** A text without the names, as whole words. */
    String hide(String text) {
        String without = text;
        for (Map.Entry<String, String> name : hidden.entrySet()) {
            if (without.contains(name.getKey())) {
                without = Pattern.compile("(?<![A-Za-z0-9_])" + Pattern.quote(name.getKey()) + "(?![A-Za-z0-9_])")
                        .matcher(without)
                        .replaceAll(name.getValue());
            }
        }
        return without;
    }

    /**
     * The name of a VM that a request names.
     *
     * @throws LockstepException {@code no-such-vm} if it names one otherwise than by pseudonym or pid: whether a guess is right is not told
     */
    String real(String requested) throws LockstepException {
        if (!hiding) {
            return requested;
        }
        for (Map.Entry<String, String> name : hidden.entrySet()) {
            if (name.getValue().equals(requested)) {
                return name.getKey();
            }
        }
        if (!PSEUDONYM_OR_PID.matcher(requested).matches()) {
            throw new LockstepException(
                    "no-such-vm",
                    "names are hidden at this socket, and " + requested
                            + " is neither a pseudonym nor a pid. GET /v1/vms has both.");
        }
        return requested;
    }

    private static String pseudonym(String name) {
        CRC32C hash = new CRC32C();
        hash.update(name.getBytes(StandardCharsets.UTF_8));
        return String.format("vm-%08x", hash.getValue());
    }
}
