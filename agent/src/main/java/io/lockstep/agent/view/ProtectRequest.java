package io.lockstep.agent.view;

import org.jspecify.annotations.Nullable;

/**
 * What to protect, and how.
 *
 * @param vm which
 * @param peer name in the configuration; null if the only one is meant
 * @param epochMs 0: as configured
 * @param tracker null: as configured
 * @param protection {@code lockstep} or {@code async}; null: as configured
 * @param allowUnheldOutput whether netdevs whose output cannot be held are protected as {@code async}
 */
public record ProtectRequest(
        VmSelector vm,
        @Nullable String peer,
        int epochMs,
        @Nullable String tracker,
        @Nullable String protection,
        boolean allowUnheldOutput) {}
