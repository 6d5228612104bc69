package io.lockstep.agent.demo;

import io.lockstep.agent.view.ProtectionStatus;
import io.lockstep.agent.view.Verification;
import io.lockstep.replication.LockstepException;
import java.io.IOException;
import java.time.Duration;

/** Kills the primary's agent alone; the VM must run on, and be protected again by the agent that the supervisor starts. Single-threaded. */
final class AgentKill {
    /** The supervisor has the agent back in 1.5 s; more only on a machine that is overloaded. */
    private static final Duration RESTART = Duration.ofSeconds(60);
    /** Half a second of the guest: no pause after it can be the death's. */
    private static final int TICKS_AFTER_RETURN = 50;

    private final Hosts hosts;
    private final GuestVm vm;
    private final TickWatch ticks;
    private final DemoOutput output;

    AgentKill(Hosts hosts, GuestVm vm, TickWatch ticks, DemoOutput output) {
        this.hosts = hosts;
        this.vm = vm;
        this.ticks = ticks;
        this.output = output;
    }

    /** Kills, and returns when the guest has read every page of its arena, and the replica was compared whole with the VM. */
    Outcome perform() throws IOException, InterruptedException, DemoFailure, LockstepException {
        ProtectionStatus before = hosts.primary().protection(hosts.vm());
        long agentPid = hosts.primary().agent().pid();
        int firstTick = Math.max(0, ticks.printed() - 1);
        ticks.check().splitAt(ticks.printedBytes());
        long killedNs = System.nanoTime();
        ProcessHandle.of(agentPid).ifPresent(ProcessHandle::destroyForcibly);
        output.line("killed the primary's agent, pid %d", agentPid);

        Deadline.await("protection by the agent that the supervisor starts", RESTART, () -> hosts.primary()
                .protectsAgain(hosts.vm(), agentPid));
        double backMs = (System.nanoTime() - killedNs) / 1e6;
        boolean fullCopy = hosts.primary().protection(hosts.vm()).fullCopies() > before.fullCopies();
        output.line("protected again after %.0f ms, %s a full copy", backMs, fullCopy ? "with" : "without");
        ticks.awaitPrinted(ticks.printed() + TICKS_AFTER_RETURN);
        double pausedMs = ticks.longestGapMs(firstTick);
        output.line("the VM stood still for at most %.1f ms meanwhile", pausedMs);

        ticks.awaitSweep();
        Verification verification = hosts.primary().verify(hosts.vm());
        if (verification.pagesDiffering() != 0) {
            throw new DemoFailure(verification.pagesDiffering() + " of " + verification.pagesCompared()
                    + " pages of the replica differ from the VM's");
        }
        output.line("%d pages of the replica compared with the VM's: none differs", verification.pagesCompared());
        return new Outcome(
                null,
                new DemoReport.GuestState(ticks.check().before(), ticks.check().after(), vm.isAlive()),
                new DemoReport.AgentRestart(pausedMs, fullCopy));
    }
}
