package io.lockstep.replication.network;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.lockstep.linux.LinuxException;
import io.lockstep.linux.UnixSocket;
import io.lockstep.replication.LockstepException;
import io.lockstep.replication.hypervisor.QmpConnection;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The pair of filter-redirectors on one netdev, in QEMU, and our ends of the sockets that they use.
 *
 * <pre>
 *   NIC --frame--> [ out ] --socket--> log ... acknowledged ... --socket--> [ in ] --> netdev
 * </pre>
 *
 * On queue {@code rx} (what the guest sends) filters run newest first, so {@code in} must be the older one, or frames would go round. With our
 * end of the sockets closed QEMU drops frames (seen in 7.2: a character device without its other end takes none), until the filters go. The virtio header before a packet is opaque here: what comes out goes in again.
 *
 * <p>All calls on the thread that has the monitor.
 */
final class NetFilter {
    private static final String PREFIX = "lockstep-";
    private static final String OUT = PREFIX + "out-";
    private static final String IN = PREFIX + "in-";
    private static final String TRIAL = IN + "trial";
    /** Nothing is ever in it. */
    private static final int TRIAL_BYTES = 4096;

    private final String suffix;
    private final UnixSocket captured;
    private final UnixSocket injected;

    NetFilter(String suffix, UnixSocket captured, UnixSocket injected) {
        this.suffix = suffix;
        this.captured = captured;
        this.injected = injected;
    }

    /** Where the guest's frames come from. */
    UnixSocket captured() {
        return captured;
    }

    /** Where they go on. */
    UnixSocket injected() {
        return injected;
    }

    /**
     * Puts both filters on a netdev.
     *
     * @param number by which the filters are told apart
     * @throws LockstepException {@code qmp-error} with QEMU's refusal; nothing is left then
     */
    static NetFilter install(QmpConnection qmp, int number, NetDevice device, int bufferBytes)
            throws LockstepException {
        String suffix = Integer.toString(number);
        UnixSocket injected = chardev(qmp, IN + suffix, bufferBytes);
        UnixSocket captured = null;
        boolean done = false;
        try {
            captured = chardev(qmp, OUT + suffix, bufferBytes);
            add(qmp, IN + suffix, device, "indev");
            add(qmp, OUT + suffix, device, "outdev");
            done = true;
            return new NetFilter(suffix, captured, injected);
        } finally {
            if (!done) {
                injected.close();
                if (captured != null) {
                    captured.close();
                }
                removeAll(qmp);
            }
        }
    }

    private static UnixSocket chardev(QmpConnection qmp, String id, int bufferBytes) throws LockstepException {
        UnixSocket[] pair;
        try {
            pair = UnixSocket.pair(bufferBytes);
        } catch (LinuxException e) {
            throw new LockstepException("output-hold-failed", "no socket for a filter: " + e.getMessage(), e);
        }
        boolean done = false;
        try {
            qmp.passDescriptor(pair[1].fd(), id);
            ObjectNode arguments = qmp.arguments().put("id", id);
            ObjectNode data =
                    arguments.putObject("backend").put("type", "socket").putObject("data");
            data.put("server", false)
                    .putObject("addr")
                    .put("type", "fd")
                    .putObject("data")
                    .put("str", id);
            qmp.execute("chardev-add", arguments);
            done = true;
            return pair[0];
        } finally {
            pair[1].close();
            if (!done) {
                pair[0].close();
            }
        }
    }

    private static void add(QmpConnection qmp, String id, NetDevice device, String end) throws LockstepException {
        qmp.execute(
                "object-add",
                Map.of("qom-type", "filter-redirector", "id", id, "netdev", device.name(), "queue", "rx", end, id));
    }

    /**
     * What QEMU says of a filter on a netdev. Frames pass meanwhile, and nothing is left; no filter of ours may be there.
     *
     * @return the netdev, with what keeps its frames from being held
     */
    static NetDevice tried(QmpConnection qmp, NetDevice device) throws LockstepException {
        UnixSocket unused = chardev(qmp, TRIAL, TRIAL_BYTES);
        try {
            add(qmp, TRIAL, device, "indev");
            return device;
        } catch (LockstepException e) {
            if (e.code().equals("qmp-error")) {
                return NetDevices.refused(device, String.valueOf(e.getMessage()));
            }
            throw e;
        } finally {
            unused.close();
            removeAll(qmp);
        }
    }

    /** The filters' names in QEMU. */
    List<String> names() {
        return List.of(IN + suffix, OUT + suffix);
    }

    /** From now on frames go straight to the netdev; what we hold can still be sent on. */
    void stopCapture(QmpConnection qmp) throws LockstepException {
        qmp.execute("object-del", Map.of("id", OUT + suffix));
    }

    /** Takes the rest away. */
    void remove(QmpConnection qmp) throws LockstepException {
        qmp.execute("object-del", Map.of("id", IN + suffix));
        qmp.execute("chardev-remove", Map.of("id", OUT + suffix));
        qmp.execute("chardev-remove", Map.of("id", IN + suffix));
    }

    /** Takes away whatever filters of ours a QEMU has, also those of an agent that died. */
    static void removeAll(QmpConnection qmp) throws LockstepException {
        LockstepException failure = null;
        List<String> objects = named(qmp.execute("qom-list", Map.of("path", "/objects")), "name");
        for (String prefix : List.of(OUT, IN)) {
            for (String id : objects) {
                if (id.startsWith(prefix)) {
                    failure = first(failure, removed(qmp, "object-del", id));
                }
            }
        }
        for (String id : named(qmp.execute("query-chardev"), "label")) {
            failure = first(failure, removed(qmp, "chardev-remove", id));
        }
        if (failure != null) {
            throw failure;
        }
    }

    /** What QEMU said against it; one that somebody else took away meanwhile must not leave the others. */
    private static @Nullable LockstepException removed(QmpConnection qmp, String command, String id)
            throws LockstepException {
        try {
            qmp.execute(command, Map.of("id", id));
            return null;
        } catch (LockstepException e) {
            if (e.code().equals("qmp-error")) {
                return e;
            }
            throw e;
        }
    }

    private static @Nullable LockstepException first(
            @Nullable LockstepException earlier, @Nullable LockstepException later) {
        return earlier == null ? later : earlier;
    }

    private static List<String> named(JsonNode list, String key) {
        List<String> names = new ArrayList<>();
        for (JsonNode one : list) {
            String name = one.path(key).asText();
            if (owns(name)) {
                names.add(name);
            }
        }
        return names;
    }

    /** Whether an object or character device in QEMU is one of ours, from this life or another. */
    static boolean owns(String name) {
        return name.startsWith(OUT) || name.startsWith(IN);
    }

    /** Our ends; any thread. */
    void closeSockets() {
        captured.close();
        injected.close();
    }
}
