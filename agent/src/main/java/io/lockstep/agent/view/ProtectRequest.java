package io.lockstep.agent.view;

import org.jspecify.annotations.Nullable;

/**
 * What to protect, and how.
 *
 * @param vm which
 * @param peer name in the configuration; null if the only one is meant
 * @param epochMs 0: as configured
 * @param tracker null: as configured
 */
public record ProtectRequest(
        VmSelector vm,
        @Nullable String peer,
        int epochMs,
        @Nullable String tracker) {}
