package io.lockstep.agent.view;

/**
 * The other side of a protection.
 *
 * @param name its name in the configuration
 * @param address host and port
 * @param fingerprint pinned certificate, {@code sha256:} and 64 hexadecimal digits
 * @param connected whether a session is open now
 * @param health how its hardware fares by its last heartbeat: healthy, watch, degrading, failing, failed, or unknown
 */
public record PeerView(String name, String address, String fingerprint, boolean connected, String health) {}
