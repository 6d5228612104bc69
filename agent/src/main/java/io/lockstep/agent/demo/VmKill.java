package io.lockstep.agent.demo;

import io.lockstep.agent.view.Promotion;
import java.io.IOException;
import java.time.Duration;
import java.time.Instant;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** Kills the VM, or its whole host, and follows it to the peer. Single-threaded. */
final class VmKill {
    /** Far beyond detection, fencing and resume together. */
    private static final Duration FAILOVER = Duration.ofSeconds(60);

    private final Hosts hosts;
    private final GuestVm vm;
    private final TickWatch ticks;
    private final DiskCheck disk;
    private final Traffic traffic;
    private final DemoOutput output;
    private @Nullable Promotion promotion;

    VmKill(Hosts hosts, GuestVm vm, TickWatch ticks, DiskCheck disk, Traffic traffic, DemoOutput output) {
        this.hosts = hosts;
        this.vm = vm;
        this.ticks = ticks;
        this.disk = disk;
        this.traffic = traffic;
        this.output = output;
    }

    /** Kills, and returns when the guest has read every page of its arena on the peer, and every state was right. */
    Outcome perform(Kill kill) throws IOException, InterruptedException, DemoFailure {
        Instant killed;
        if (kill == Kill.HOST) {
            hosts.writeFence(vm);
            ticks.check().cutAt(ticks.printedBytes());
            killed = Instant.now();
            hosts.killPrimary(vm);
            output.line("killed QEMU, its agent and the agent's supervisor, and silenced the link");
        } else {
            ticks.check().cutAt(ticks.printedBytes());
            killed = Instant.now();
            vm.kill();
            output.line("killed QEMU, pid %d", vm.pid());
        }
        Promotion promoted = awaitPromotion();
        disk.promoted(promoted.pid(), traffic);
        double totalMs = promoted.atMs() - (killed.getEpochSecond() * 1e3 + killed.getNano() / 1e6);
        output.line("%s promoted epoch %d: %s", Hosts.PEER, promoted.epoch(), promoted.reason());
        output.line(
                "%.0f ms to detect, %.0f ms to resume; the guest ran %.0f ms after the kill",
                promoted.detectMs(), promoted.resumeMs(), totalMs);
        ticks.awaitSweep();
        output.line(
                "%d ticks right after the kill, the first %d of them for the second time",
                ticks.check().after(), ticks.check().repeated());
        return new Outcome(
                new DemoReport.Failover(promoted.detectMs(), promoted.resumeMs(), totalMs),
                new DemoReport.GuestState(ticks.check().before(), ticks.check().after(), true),
                null);
    }

    private Promotion awaitPromotion() throws InterruptedException, DemoFailure {
        Deadline.await("the VM's promotion on " + Hosts.PEER, FAILOVER, () -> {
            promotion = hosts.peer().promotion(hosts.vm());
            return promotion != null;
        });
        return Objects.requireNonNull(promotion);
    }
}
