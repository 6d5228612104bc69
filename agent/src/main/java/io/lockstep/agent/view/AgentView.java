package io.lockstep.agent.view;

import java.util.Map;

/**
 * The agent itself.
 *
 * @param root prefix of all its paths, {@code /} if installed
 * @param listenAddress where it listens for primaries, host and port
 * @param fingerprint of its certificate, {@code sha256:} and 64 hexadecimal digits
 * @param startedMs milliseconds since 1970
 * @param startMs from the start of the JVM until protection was re-attached
 * @param java version of its runtime
 * @param configuration in force, defaults included, by table and key
 */
public record AgentView(
        String version,
        long pid,
        String root,
        String listenAddress,
        String fingerprint,
        long startedMs,
        double startMs,
        String java,
        long uptimeMs,
        Map<String, Object> configuration) {}
