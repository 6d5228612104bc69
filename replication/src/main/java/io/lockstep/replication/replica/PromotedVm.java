package io.lockstep.replication.replica;

import io.lockstep.replication.hypervisor.Standby;
import io.lockstep.replication.link.SessionHello;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A VM that runs here since its replica was promoted.
 *
 * @param vm its name
 * @param epoch that it resumed from
 * @param detectNs from the last bytes of the primary to the decision; -1 without a session
 * @param tookNs from the decision to the guest running; -1 if it was promoted by an earlier process of this agent
 * @param pid of its QEMU
 * @param atMs when it ran, milliseconds since 1970; 0 if an earlier process promoted it
 * @param standby the QEMU; null if an earlier process promoted it
 * @param hello the VM as its former primary described it
 * @param blockFiles its memory's files: they belong to the running VM
 */
public record PromotedVm(
        String vm,
        long epoch,
        PromotionReason reason,
        long detectNs,
        long tookNs,
        long pid,
        long atMs,
        @Nullable Standby standby,
        SessionHello hello,
        List<Path> blockFiles) {}
