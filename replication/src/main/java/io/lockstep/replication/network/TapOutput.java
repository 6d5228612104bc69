package io.lockstep.replication.network;

import io.lockstep.linux.Descriptors;
import io.lockstep.linux.LinuxException;
import io.lockstep.linux.NativeBlock;
import io.lockstep.linux.Pidfd;
import io.lockstep.linux.Tap;
import io.lockstep.replication.LockstepException;
import io.lockstep.replication.hypervisor.QmpConnection;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Sends frames to the tap of a netdev past its QEMU, which stands still: on a descriptor of our own, which outlives QEMU. One thread at a time.
 *
 * <p>What {@code filter-redirector} hands out lacks the virtio header that a tap wants if the NIC knows of none, and QEMU puts an empty one in
 * front of it; net/tap.c, {@code tap_receive_iov}.
 */
final class TapOutput implements AutoCloseable {
    // NIC: index=0,type=nic,model=virtio-net-pci,macaddr=52:54:00:12:34:56
    private static final Pattern NIC = Pattern.compile("^\\S+: index=\\d+,type=nic,model=([^,]+).*");
    private static final Pattern BACKEND = Pattern.compile("^ \\\\ (\\S+): index=0,type=tap(,.*|$)");
    private static final Pattern FD = Pattern.compile(".*,fd=(\\d+)(,.*|$)");
    private static final Pattern INTERFACE = Pattern.compile(".*,ifname=([^,]+)(,.*|$)");
    /** NICs that write the header themselves, all that call {@code qemu_using_vnet_hdr}; others do not know it. */
    private static final Pattern WITH_HEADER = Pattern.compile("virtio-net.*|e1000e|igb|vmxnet3");

    private static final Path TUN = Path.of("/dev/net/tun");

    private final Tap tap;
    private final int emptyHeaderBytes;
    private final NativeBlock frame;

    private TapOutput(Tap tap, int emptyHeaderBytes) {
        this.tap = tap;
        this.emptyHeaderBytes = emptyHeaderBytes;
        this.frame = new NativeBlock(emptyHeaderBytes + OutputLog.PACKET_BYTES_MAX);
    }

    /**
     * The way past QEMU, if the netdev is a tap that can be told from others.
     *
     * @throws LockstepException {@code qmp-error}
     */
    static Optional<TapOutput> open(QmpConnection qmp, Pidfd process, NetDevice device) throws LockstepException {
        String model = "";
        for (String line : qmp.hmp("info network").split("\r?\n", -1)) {
            Matcher nic = NIC.matcher(line);
            Matcher backend = BACKEND.matcher(line);
            if (nic.matches()) {
                model = nic.group(1);
            } else if (backend.matches() && backend.group(1).equals(device.name()) && !model.isEmpty()) {
                return open(
                        process, backend.group(2), WITH_HEADER.matcher(model).matches());
            }
        }
        return Optional.empty();
    }

    private static Optional<TapOutput> open(Pidfd process, String options, boolean nicWritesHeader) {
        try {
            List<Tap> taps = taps(process, options);
            if (taps.size() == 1) {
                Tap tap = taps.get(0);
                return Optional.of(new TapOutput(tap, nicWritesHeader ? 0 : tap.headerBytes()));
            }
            taps.forEach(Tap::close);
            return Optional.empty();
        } catch (IOException e) {
            return Optional.empty();
        }
    }

    /** Taps of a QEMU that fit the options of a netdev: the named descriptor, or those of the named interface, or all. */
    private static List<Tap> taps(Pidfd process, String options) throws IOException {
        Matcher number = FD.matcher(options);
        Matcher wanted = INTERFACE.matcher(options);
        boolean numbered = number.matches();
        boolean named = wanted.matches();
        List<Tap> found = new ArrayList<>();
        try (DirectoryStream<Path> links = Files.newDirectoryStream(Path.of("/proc/" + process.pid() + "/fd"))) {
            for (Path link : links) {
                String fd = link.getFileName().toString();
                if (Descriptors.target(process.pid(), Integer.parseInt(fd)).equals(TUN.toString())
                        && (!numbered || fd.equals(number.group(1)))) {
                    Tap tap = new Tap(process.getfd(Integer.parseInt(fd)));
                    if (!named || tap.name().equals(wanted.group(1))) {
                        found.add(tap);
                    } else {
                        tap.close();
                    }
                }
            }
        }
        return found;
    }

    /** A frame's memory, to be filled before {@link #send}: its header, if it has none of its own, is empty and stands before that. */
    ByteBuffer frame() {
        return frame.buffer().clear().position(emptyHeaderBytes);
    }

    /**
     * Sends what is in {@link #frame()}.
     *
     * @throws LinuxException as {@link Tap#write}
     */
    void send(int packetBytes) throws LinuxException {
        tap.write(frame.address(), emptyHeaderBytes + packetBytes);
    }

    @Override
    public void close() {
        tap.close();
    }
}
