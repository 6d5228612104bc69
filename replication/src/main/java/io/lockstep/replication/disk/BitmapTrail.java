package io.lockstep.replication.disk;

import com.fasterxml.jackson.databind.JsonNode;
import io.lockstep.replication.LockstepException;
import io.lockstep.replication.hypervisor.QmpConnection;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.LongPredicate;

/**
 * Bitmaps in QEMU that record what the guest writes to its disks, also while no agent lives.
 *
 * <pre>
 *   bitmap 3   |--- records ------------------------------------ removed: the epoch is acknowledged
 *   bitmap 4              |--- records ---------------------------------- ...
 *                         ^ added in epoch E    ^ boundary of E: QEMU has drained, all before it is in the epoch
 * </pre>
 *
 * <p>Invariant: every write since the last acknowledged boundary is in one of them. They end with QEMU, and are in no image. The thread that
 * has the monitor.
 */
final class BitmapTrail {
    /** Blocks that a bitmap tells apart; also those in which a copy goes on. */
    static final int GRANULARITY = 1 << 16;

    private static final String PREFIX = "lockstep-disk-";
    private static final String RECORD = PREFIX + "trail-";
    private static final String REMAINING = PREFIX + "todo";

    private final List<GuestDisk> disks;
    private long newest;

    BitmapTrail(List<GuestDisk> disks) {
        this.disks = disks;
    }

    /** Name of the bitmap that {@link #collect} makes. */
    static String todo() {
        return REMAINING;
    }

    /** Whether every disk has at least one that records, which an earlier session left. */
    boolean present(QmpConnection qmp) throws LockstepException {
        Map<String, Map<String, JsonNode>> all = find(qmp);
        boolean present = true;
        for (GuestDisk disk : disks) {
            Map<String, JsonNode> own = all.getOrDefault(disk.node(), Map.of());
            present &= own.entrySet().stream()
                    .anyMatch(e -> e.getKey().startsWith(RECORD)
                            && e.getValue().path("recording").asBoolean());
            for (String name : own.keySet()) {
                newest = Math.max(newest, number(name));
            }
        }
        return present;
    }

    /** Begins a further one on each disk, and returns its number. */
    long add(QmpConnection qmp) throws LockstepException {
        long number = newest + 1;
        List<Object> actions = new ArrayList<>();
        for (GuestDisk disk : disks) {
            actions.add(Map.of("type", "block-dirty-bitmap-add", "data", bitmap(disk, RECORD + number, false)));
        }
        qmp.execute("transaction", Map.of("actions", actions));
        newest = number;
        return number;
    }

    /** What all of them list now, in a bitmap that records nothing further; returns how many bytes that are. */
    long collect(QmpConnection qmp) throws LockstepException {
        Map<String, Map<String, JsonNode>> all = find(qmp);
        List<Object> actions = new ArrayList<>();
        long bytes = 0;
        for (GuestDisk disk : disks) {
            Map<String, JsonNode> own = all.getOrDefault(disk.node(), Map.of());
            List<String> records = new ArrayList<>();
            for (Map.Entry<String, JsonNode> bitmap : own.entrySet()) {
                if (bitmap.getKey().startsWith(RECORD)) {
                    records.add(bitmap.getKey());
                    bytes += bitmap.getValue().path("count").asLong();
                }
            }
            actions.add(Map.of("type", "block-dirty-bitmap-add", "data", bitmap(disk, REMAINING, true)));
            if (!records.isEmpty()) {
                actions.add(Map.of(
                        "type",
                        "block-dirty-bitmap-merge",
                        "data",
                        Map.of("node", disk.node(), "target", REMAINING, "bitmaps", records)));
            }
        }
        qmp.execute("transaction", Map.of("actions", actions));
        return bytes;
    }

    /** Removes what {@link #collect} made. */
    void removeCollected(QmpConnection qmp) throws LockstepException {
        remove(qmp, Set.of(REMAINING), number -> false);
    }

    /** Removes those before a number: what they list is with the peer. */
    void removeBefore(QmpConnection qmp, long first) throws LockstepException {
        remove(qmp, Set.of(), number -> number < first);
    }

    /** Removes all of ours, on any node. */
    void removeAll(QmpConnection qmp) throws LockstepException {
        remove(qmp, Set.of(REMAINING), number -> true);
    }

    private void remove(QmpConnection qmp, Set<String> names, LongPredicate numbers) throws LockstepException {
        for (Map.Entry<String, Map<String, JsonNode>> node : find(qmp).entrySet()) {
            for (String name : new TreeSet<>(node.getValue().keySet())) {
                if (names.contains(name) || (name.startsWith(RECORD) && numbers.test(number(name)))) {
                    qmp.execute("block-dirty-bitmap-remove", Map.of("node", node.getKey(), "name", name));
                }
            }
        }
    }

    private static Map<String, Object> bitmap(GuestDisk disk, String name, boolean disabled) {
        return Map.of(
                "node",
                disk.node(),
                "name",
                name,
                "granularity",
                GRANULARITY,
                "persistent",
                false,
                "disabled",
                disabled);
    }

    private static long number(String name) {
        return name.startsWith(RECORD) ? Long.parseLong(name.substring(RECORD.length())) : 0;
    }

    /** Ours, by node and name. */
    private static Map<String, Map<String, JsonNode>> find(QmpConnection qmp) throws LockstepException {
        Map<String, Map<String, JsonNode>> found = new HashMap<>();
        for (JsonNode node : qmp.execute("query-named-block-nodes", Map.of("flat", true))) {
            for (JsonNode bitmap : node.path("dirty-bitmaps")) {
                String name = bitmap.path("name").asText();
                if (name.startsWith(PREFIX)) {
                    found.computeIfAbsent(node.path("node-name").asText(), n -> new HashMap<>())
                            .put(name, bitmap);
                }
            }
        }
        return found;
    }
}
