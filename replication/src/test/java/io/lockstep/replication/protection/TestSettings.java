package io.lockstep.replication.protection;

import io.lockstep.replication.link.HostIdentity;
import java.nio.file.Path;

/** Settings of tests, which differ in what a protection takes of this host. */
final class TestSettings {
    private TestSettings() {}

    static ProtectionSettings of(int ringSlots, long pageCacheBytes, Path directory) {
        return new ProtectionSettings(
                25,
                new OutputSettings(true, false, 2, 100, 20, 1 << 23),
                1_000,
                1_000,
                50,
                5_000,
                10_000,
                100,
                0,
                2,
                ringSlots,
                pageCacheBytes,
                1,
                1,
                false,
                "auto",
                directory,
                HostIdentity.UNKNOWN);
    }
}
