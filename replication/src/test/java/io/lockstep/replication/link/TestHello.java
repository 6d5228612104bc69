package io.lockstep.replication.link;

import io.lockstep.replication.RamBlock;
import java.util.List;

/** A Hello for tests that need one and look at nothing in it. */
public final class TestHello {
    private TestHello() {}

    /** Of a VM of one block, one mebibyte, that has sent everything and heard nothing. */
    public static SessionHello micro() {
        return micro(ProtocolVersion.PROTOCOL_VERSION);
    }

    /** The same in a version of the protocol. */
    public static SessionHello micro(int version) {
        return new SessionHello(
                version,
                1,
                2,
                -1,
                Long.MAX_VALUE,
                0,
                1000,
                10_000,
                0,
                0,
                List.of(new RamBlock(0, "pc.ram", 1 << 20, 4096, true)),
                List.of(),
                List.of(),
                "vm",
                "1",
                "7.2.22",
                "pc-q35-7.2",
                List.of("qemu-system-x86_64", "-m", "1M"),
                "/",
                List.of(),
                HostIdentity.UNKNOWN);
    }
}
