package io.lockstep.replication.link;

import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import org.jspecify.annotations.Nullable;

/** Addresses as an operator writes them, {@code 192.0.2.1:7500} or {@code [2001:db8::1]:7500}, not as Java prints them. */
final class AddressText {
    private AddressText() {}

    /** Host and port; asks no name service. */
    static String of(@Nullable SocketAddress address) {
        if (address == null) {
            return "unconnected";
        }
        if (address instanceof InetSocketAddress inet) {
            String host = inet.getHostString();
            return (host.indexOf(':') >= 0 ? "[" + host + "]" : host) + ":" + inet.getPort();
        }
        return address.toString();
    }

    /** The number alone. */
    static String of(InetAddress address) {
        return String.valueOf(address.getHostAddress());
    }
}
