package io.lockstep.replication.protection;

import java.net.InetSocketAddress;

/**
 * The agent that holds, or will hold, the replica.
 *
 * @param name its name in the configuration
 * @param address where it listens
 * @param fingerprint of its certificate, {@code sha256:} and 64 hexadecimal digits
 */
public record PeerAddress(String name, InetSocketAddress address, String fingerprint) {}
