package io.lockstep.agent.demo;

import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * What a run is to do.
 *
 * @param seconds protected before the kill, 1 to 3,600
 * @param epochMs length of an epoch, 1 to 1,000
 * @param report where to write the measurements as JSON; null for nowhere
 * @param project the source tree, with the launcher
 * @param network whether this process is in a network namespace of its own, where the guest gets a network and a client
 * @param guests directory that {@code agent/guests/build.sh} made
 */
record DemoOptions(
        Guest guest,
        int seconds,
        int epochMs,
        Kill kill,
        @Nullable Path report,
        Path project,
        boolean network,
        Path guests) {}
