package io.lockstep.replication.network;

import io.lockstep.replication.LockstepException;
import io.lockstep.replication.hypervisor.QmpConnection;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/** Finds every netdev that a NIC of the VM is connected to, and what keeps its frames from being held. Reads only. */
public final class NetDevices {
    // NIC: index=0,type=nic,...     one line for each NIC and queue, and below it, indented, what it is connected to
    private static final Pattern NIC = Pattern.compile("^(\\S+): index=(\\d+),type=nic\\b.*");
    private static final Pattern BACKEND = Pattern.compile("^ \\\\ (\\S+): index=(\\d+),type=(\\S+?)(,.*|$)");
    // The port of a hub and what is plugged into it, of which only NICs send what must be held
    private static final Pattern PORT = Pattern.compile("^ \\\\ (\\S+): (\\S+): index=\\d+,type=nic\\b.*");
    // Both as options and, from libvirt, as JSON
    private static final Pattern VHOST =
            Pattern.compile(",(vhost=on|vhostforce=on|vhostfds?=)|\"(vhost|vhostforce)\":true|\"vhostfds?\":");
    private static final String VHOST_DEVICE = "/dev/vhost-net";

    private NetDevices() {}

    /**
     * Those of a VM.
     *
     * @param pid of QEMU
     * @param commandLine of QEMU
     */
    public static List<NetDevice> find(QmpConnection qmp, long pid, List<String> commandLine) throws LockstepException {
        return parse(qmp.hmp("info network"), usesVhost(pid) ? commandLine : List.of());
    }

    /** @param vhostCommandLine of a QEMU that has opened vhost-net; empty for another */
    static List<NetDevice> parse(String network, List<String> vhostCommandLine) {
        List<NetDevice> found = new ArrayList<>();
        String nic = "";
        for (String line : network.split("\n", -1)) {
            Matcher port = PORT.matcher(line);
            Matcher head = NIC.matcher(line);
            Matcher backend = BACKEND.matcher(line);
            if (port.matches()) {
                found.add(new NetDevice(port.group(1), port.group(2), "", ""));
            } else if (head.matches()) {
                nic = head.group(1);
            } else if (!nic.isEmpty() && backend.matches()) {
                NetDevice device = new NetDevice(backend.group(1), nic, "", "");
                if (Integer.parseInt(backend.group(2)) > 0) {
                    found.replaceAll(d -> d.name().equals(device.name()) ? multiqueue(d) : d);
                } else {
                    found.add(vhost(device.name(), vhostCommandLine) ? vhost(device) : device);
                }
                nic = "";
            } else {
                nic = "";
            }
        }
        return found;
    }

    /** QEMU's own refusal, as its filter words it. */
    static NetDevice refused(NetDevice device, String qemusWords) {
        String words = qemusWords.toLowerCase(Locale.ROOT);
        if (words.contains("multiqueue")) {
            return multiqueue(device);
        }
        return words.contains("vhost") ? vhost(device) : device.refused(qemusWords, "");
    }

    private static NetDevice multiqueue(NetDevice device) {
        return device.refused(
                "it has several queues, which QEMU's filters do not take",
                "start the VM without queues= on -netdev " + device.name() + " and without mq=on on its device");
    }

    private static NetDevice vhost(NetDevice device) {
        return device.refused(
                "it uses vhost, which sends past QEMU", "start the VM with vhost=off on -netdev " + device.name());
    }

    private static boolean vhost(String name, List<String> commandLine) {
        for (String argument : commandLine) {
            List<String> parts = List.of(argument.split(",", -1));
            if ((parts.contains("id=" + name) || argument.contains("\"id\":\"" + name + "\""))
                    && VHOST.matcher(argument).find()) {
                return true;
            }
        }
        return false;
    }

    private static boolean usesVhost(long pid) throws LockstepException {
        try (Stream<Path> descriptors = Files.list(Path.of("/proc/" + pid + "/fd"))) {
            for (Path fd : descriptors.toList()) {
                if (isVhost(fd)) {
                    return true;
                }
            }
            return false;
        } catch (IOException e) {
            throw new LockstepException(
                    "qemu-no-privilege",
                    "Cannot list the descriptors of QEMU (pid " + pid + "): " + e.getMessage()
                            + ". Run the agent as root or with CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH.",
                    e);
        }
    }

    private static boolean isVhost(Path fd) {
        try {
            return Files.readSymbolicLink(fd).toString().equals(VHOST_DEVICE);
        } catch (IOException e) {
            return false; // It was closed meanwhile.
        }
    }

    /**
     * Refuses a VM with a netdev whose frames cannot be held.
     *
     * @throws LockstepException {@code output-not-holdable}, with the netdev's name and the cure
     */
    public static void requireHoldable(List<NetDevice> devices) throws LockstepException {
        for (NetDevice device : devices) {
            if (!device.holdable()) {
                String cure = device.cure().isEmpty() ? "Give" : capital(device.cure()) + "; or give";
                throw new LockstepException(
                        "output-not-holdable",
                        "What the VM sends through netdev " + device.name() + " (NIC " + device.nic()
                                + ") cannot be held until the peer has it: " + device.obstacle() + ". " + cure
                                + " --allow-unheld-output to protect the VM without holding this netdev's output.");
            }
        }
    }

    private static String capital(String text) {
        return text.substring(0, 1).toUpperCase(Locale.ROOT) + text.substring(1);
    }
}
