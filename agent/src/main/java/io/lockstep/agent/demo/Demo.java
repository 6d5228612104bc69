package io.lockstep.agent.demo;

import io.lockstep.agent.view.Floor;
import io.lockstep.agent.view.ProtectionStatus;
import io.lockstep.agent.view.Quantiles;
import io.lockstep.agent.view.ReplicaView;
import io.lockstep.replication.LockstepException;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * One run: two agents, a guest between them, a kill, and the check of every state that the guest printed.
 *
 * <p>Invariant: when {@link #run()} returns, or the JVM is told to end, no process of the run is left.
 */
final class Demo {
    private static final Duration BOOT = Duration.ofSeconds(60);
    /** As many as give a median that does not change with the next run. */
    private static final int FLOOR_SAMPLES = 40;

    private static final Duration SECOND = Duration.ofSeconds(1);

    private final DemoOptions options;
    private final DemoOutput output = new DemoOutput();

    Demo(DemoOptions options) {
        this.options = options;
    }

    /** Runs it and prints what happens; true only if the guest's state was verified after the kill. */
    boolean run() throws IOException, InterruptedException {
        Workspace workspace = new Workspace();
        Thread interrupted = new Thread(() -> end(workspace, false), "demo-end");
        Runtime.getRuntime().addShutdownHook(interrupted);
        boolean verified = false;
        try {
            DemoReport report = protectAndKill(workspace);
            output.table(report);
            if (options.report() != null) {
                output.json(report, options.report());
            }
            verified = report.guestState().verified() && report.disks().stream().allMatch(DemoReport.Disk::verified);
        } catch (DemoFailure | LockstepException e) {
            output.failed(String.valueOf(e.getMessage()), workspace.directory());
        } finally {
            if (unhook(interrupted)) {
                end(workspace, verified);
            }
        }
        return verified;
    }

    /** False if the JVM is ending, and the hook is at it. */
    private static boolean unhook(Thread hook) {
        try {
            return Runtime.getRuntime().removeShutdownHook(hook);
        } catch (IllegalStateException e) {
            return false;
        }
    }

    private static void end(Workspace workspace, boolean succeeded) {
        try {
            workspace.killAll();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        workspace.remove(succeeded);
    }

    private DemoReport protectAndKill(Workspace workspace)
            throws IOException, InterruptedException, DemoFailure, LockstepException {
        try (Hosts hosts = new Hosts(workspace, options);
                SerialLog serial = new SerialLog(workspace.directory().resolve(workspace.vmName() + ".serial"))) {
            String accelerator = GuestVm.accelerator(options.guests(), workspace.directory());
            output.line("guest %s under %s, two agents in %s", name(), accelerator, workspace.directory());
            DiskCheck disk = DiskCheck.of(options.guest(), workspace.directory());
            GuestVm vm = boot(workspace, accelerator, disk);
            hosts.start();
            Deadline.await("the guest's first tick", BOOT, () -> {
                if (!vm.isAlive()) {
                    throw new DemoFailure("QEMU ended while the guest booted");
                }
                return serial.count() > 0;
            });
            Traffic traffic = Traffic.start(options);
            HashChain chain = options.guest().chain();
            ChainCheck check = new ChainCheck(chain);
            Floor floor = hosts.primary().floor(hosts.vm(), FLOOR_SAMPLES);
            output.line(
                    "pause floor %.2f ms (stop, state to tmpfs, cont)",
                    floor.pauseMs().p50());
            traffic.unprotected(output);
            ProtectionStatus protection = hosts.primary().protect(hosts.vm(), output::progress);
            output.copied(protection);
            traffic.beginProtected();
            watch(options.seconds(), hosts, serial, check);
            ProtectionStatus before = hosts.primary().protection(hosts.vm());
            ReplicaView replica = hosts.peer().replica(hosts.vm());
            TickWatch ticks = new TickWatch(serial, check, chain.sweepTicks());
            traffic.beforeKill(before, output);
            Outcome outcome = options.kill() == Kill.AGENT
                    ? new AgentKill(hosts, vm, ticks, output).perform()
                    : new VmKill(hosts, vm, ticks, disk, traffic, output).perform(options.kill());
            DemoReport.Client client = traffic.end();
            List<DemoReport.Disk> disks = disk.end(
                    traffic,
                    hosts.peer().image(hosts.vm()),
                    before.initialSync().ms(),
                    output);
            return report(floor, before, replica, outcome, client, disks);
        }
    }

    private GuestVm boot(Workspace workspace, String accelerator, DiskCheck disk)
            throws IOException, InterruptedException, DemoFailure {
        List<String> devices = new ArrayList<>(disk.qemuArguments());
        String kernelOptions = disk.guestOptions();
        if (options.network()) {
            new GuestNetwork(List.of()).create();
            devices.addAll(GuestNetwork.qemuArguments());
            kernelOptions += " " + GuestNetwork.guestOption();
        } else if (options.guest() == Guest.LINUX) {
            output.line("no client: a network namespace of the run's own cannot be made here; root can");
        }
        return GuestVm.startWith(
                List.of(),
                options.guest(),
                workspace.vmName(),
                accelerator,
                devices,
                kernelOptions,
                options.guests(),
                workspace.directory());
    }

    /** Prints a line a second. */
    private void watch(int seconds, Hosts hosts, SerialLog serial, ChainCheck check)
            throws IOException, InterruptedException, DemoFailure, LockstepException {
        long nextNs = System.nanoTime();
        for (int second = 1; second <= seconds; second++) {
            nextNs += SECOND.toNanos();
            for (long leftNs = nextNs - System.nanoTime(); leftNs > 0; leftNs = nextNs - System.nanoTime()) {
                LockSupport.parkNanos(leftNs);
                if (Thread.interrupted()) {
                    throw new InterruptedException("while the guest was watched");
                }
            }
            check.take(serial.from(check.taken()));
            output.second(second, hosts.primary().protection(hosts.vm()), check);
        }
    }

    private DemoReport report(
            Floor floor,
            ProtectionStatus before,
            ReplicaView replica,
            Outcome outcome,
            DemoReport.@Nullable Client client,
            List<DemoReport.Disk> disks) {
        Quantiles dirty = before.dirtyPages();
        return new DemoReport(
                name(),
                options.kill().name().toLowerCase(Locale.ROOT),
                before.ramBytes(),
                before.tracker(),
                new DemoReport.Copy(
                        before.initialSync().bytesDone(), before.initialSync().ms()),
                before.ackedEpoch() + 1,
                before.epochMs(),
                before.pauseMs(),
                new DemoReport.Median(floor.pauseMs().p50()),
                new DemoReport.MedianAndMax(dirty.p50(), dirty.max()),
                before.linkBytes(),
                new DemoReport.Journal(replica.journalEpochs(), replica.journalBytes()),
                outcome.failover(),
                outcome.guestState(),
                client,
                disks,
                outcome.agentRestart());
    }

    private String name() {
        return options.guest().name().toLowerCase(Locale.ROOT);
    }
}
