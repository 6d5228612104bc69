package io.lockstep.agent.api;

import java.io.IOException;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import jdk.net.ExtendedSocketOptions;
import jdk.net.UnixDomainPrincipal;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Who is at the other end of a unix socket, as the kernel wrote it down when he connected (SO_PEERCRED): root, the agent's own user and the
 * members of one group are welcome. The socket's mode says the same; this holds also for a descriptor that was handed on before it was set.
 */
final class PeerCredentials {
    private static final Logger LOG = LoggerFactory.getLogger(PeerCredentials.class);

    private final String group;

    PeerCredentials(String group) {
        this.group = group;
    }

    /** @param transport of the connection, as Jetty has it */
    boolean welcome(@Nullable Object transport) {
        UnixDomainPrincipal peer = principal(transport);
        boolean welcome = allowed(peer);
        if (!welcome) {
            LOG.warn(
                    "user {} may not manage the agent: he is neither root nor in group {}",
                    peer == null ? "(unknown)" : peer.user(),
                    group);
        }
        return welcome;
    }

    /** As {@link #welcome}, of a socket that is for others, too. */
    boolean privileged(@Nullable Object transport) {
        return allowed(principal(transport));
    }

    private boolean allowed(@Nullable UnixDomainPrincipal peer) {
        return peer != null && allowed(peer.user().getName(), peer.group().getName());
    }

    private static @Nullable UnixDomainPrincipal principal(@Nullable Object transport) {
        if (!(transport instanceof SocketChannel channel)) {
            return null;
        }
        try {
            return channel.getOption(ExtendedSocketOptions.SO_PEERCRED);
        } catch (IOException e) {
            LOG.debug("no credentials: {}", e.getMessage());
            return null;
        }
    }

    /** Whether a user, with this group as his first, may. */
    boolean allowed(String user, String firstGroup) {
        return user.equals("root")
                || user.equals(System.getProperty("user.name"))
                || firstGroup.equals(group)
                || memberOf(Path.of("/etc/group"), user);
    }

    /** Whether the file, group(5), has the user as a member of the group. */
    boolean memberOf(Path groups, String user) {
        try {
            return Files.readAllLines(groups).stream()
                    .map(line -> line.split(":", -1))
                    .filter(fields -> fields.length == 4 && fields[0].equals(group))
                    .anyMatch(fields -> Arrays.asList(fields[3].split(",", -1)).contains(user));
        } catch (IOException e) {
            return false;
        }
    }
}
