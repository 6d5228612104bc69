package io.lockstep.perf.bench;

import io.lockstep.agent.Progress;
import io.lockstep.agent.demo.Deadline;
import io.lockstep.agent.demo.DemoFailure;
import io.lockstep.agent.demo.DemoHost;
import io.lockstep.agent.demo.Fence;
import io.lockstep.agent.demo.Workspace;
import io.lockstep.agent.view.Promotion;
import io.lockstep.agent.view.ProtectionStatus;
import io.lockstep.replication.LockstepException;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;

/**
 * Two agents as processes of their own, on this machine.
 *
 * <p>Invariant: when it is closed, or the JVM is told to end, no process of it is left.
 */
final class Lab implements AutoCloseable {
    private static final Progress NO_PROGRESS = (phase, done, total) -> {};
    private static final Duration STANDBY = Duration.ofSeconds(60);

    /** The agents answer on the same cores: asked every 5 ms, they took half of one. */
    private static final long EPOCHS_POLL_NS = 200_000_000;

    /** Each waits for its guest, its peer and its first epoch by turns. */
    private static final int AT_A_TIME = 4;

    private final Workspace workspace = new Workspace();
    private final Thread hook = new Thread(this::end, "lab-end");
    private final DemoHost primary;
    private final DemoHost peer;

    /** @param more lines of the agents' configuration; the first ones go on in the table {@code epoch} */
    Lab(BenchContext context, int epochMs, String more) throws IOException, InterruptedException, DemoFailure {
        this(context, epochMs, more, more);
    }

    /** As above, with other lines for the peer. */
    Lab(BenchContext context, int epochMs, String more, String morePeer)
            throws IOException, InterruptedException, DemoFailure {
        Runtime.getRuntime().addShutdownHook(hook);
        primary = new DemoHost("host-a", workspace, context.project());
        peer = new DemoHost("host-b", workspace, context.project());
        Fence fence = new Fence(workspace.directory());
        fence.write();
        createIdentities();
        primary.configure(epochMs, peer, peer.port(), fence.command(), more);
        peer.configure(epochMs, primary, primary.port(), fence.command(), morePeer);
        primary.start();
        peer.start();
        primary.awaitAgent();
        peer.awaitAgent();
    }

    /** Both at the same time: most of what that takes is the start of a JVM. */
    private void createIdentities() throws IOException, InterruptedException, DemoFailure {
        AtomicReference<@Nullable Exception> failure = new AtomicReference<>();
        Thread other = new Thread(
                () -> {
                    try {
                        peer.createIdentity();
                    } catch (IOException | InterruptedException | DemoFailure e) {
                        failure.set(e);
                    }
                },
                "identity");
        other.start();
        primary.createIdentity();
        other.join();
        Exception failed = failure.get();
        if (failed != null) {
            throw new DemoFailure("the peer's identity: " + failed.getMessage(), failed);
        }
    }

    Path directory() {
        return workspace.directory();
    }

    DemoHost primary() {
        return primary;
    }

    DemoHost peer() {
        return peer;
    }

    /** The JVMs of both agents, the primary's first. */
    List<Long> agentPids() throws LockstepException, IOException {
        return List.of(primary.agent().pid(), peer.agent().pid());
    }

    /** Returns when the peer runs the VM. */
    void awaitPromotion(String vm) throws InterruptedException, DemoFailure {
        Deadline.await("the promotion of " + vm, STANDBY, () -> peer.promotion(vm) != null);
    }

    /** Protects, and returns when so many epochs of this very protection are acknowledged: the first ones after a first copy are others. */
    void protectWarm(String vm, int warmEpochs)
            throws LockstepException, IOException, InterruptedException, DemoFailure {
        primary.protect(vm, NO_PROGRESS);
        awaitEpochs(vm, warmEpochs);
    }

    ProtectionStatus protect(String vm) throws LockstepException, IOException, InterruptedException, DemoFailure {
        return primary.protect(vm, NO_PROGRESS);
    }

    /** Protects some at the same time. */
    void protectAll(List<String> vms) throws InterruptedException, DemoFailure {
        forAll(vms, "protect", vm -> primary.protect(vm, NO_PROGRESS));
    }

    /** Lets some go at the same time. */
    void unprotectAll(List<String> vms) throws InterruptedException, DemoFailure {
        forAll(vms, "unprotect", primary::unprotect);
    }

    private interface Operation {
        void run(String vm) throws Exception;
    }

    private static void forAll(List<String> vms, String what, Operation operation)
            throws InterruptedException, DemoFailure {
        ExecutorService threads = Executors.newFixedThreadPool(AT_A_TIME);
        try {
            List<Callable<Boolean>> all = new ArrayList<>();
            for (String vm : vms) {
                all.add(() -> {
                    operation.run(vm);
                    return true;
                });
            }
            for (Future<Boolean> one : threads.invokeAll(all)) {
                one.get();
            }
        } catch (ExecutionException e) {
            throw new DemoFailure(what + ": " + e.getMessage(), e);
        } finally {
            threads.shutdownNow();
        }
    }

    /** The same with epochs of this length, milliseconds. */
    ProtectionStatus protect(String vm, int epochMs)
            throws LockstepException, IOException, InterruptedException, DemoFailure {
        return primary.protect(vm, epochMs, NO_PROGRESS);
    }

    /** Returns when so many more epochs are acknowledged. */
    ProtectionStatus awaitEpochs(String vm, int more)
            throws LockstepException, IOException, InterruptedException, DemoFailure {
        return awaitEpoch(vm, protection(vm).ackedEpoch() + more);
    }

    /** The status once an epoch is acknowledged. */
    ProtectionStatus awaitEpoch(String vm, long epoch)
            throws LockstepException, IOException, InterruptedException, DemoFailure {
        AtomicReference<@Nullable ProtectionStatus> last = new AtomicReference<>();
        Deadline.await("epoch " + epoch + " of " + vm, Duration.ofMinutes(5), EPOCHS_POLL_NS, () -> {
            ProtectionStatus status = asked(vm);
            last.set(status);
            return status != null && status.ackedEpoch() >= epoch;
        });
        return Objects.requireNonNull(last.get());
    }

    private ProtectionStatus protection(String vm) throws DemoFailure, InterruptedException {
        AtomicReference<@Nullable ProtectionStatus> answer = new AtomicReference<>();
        Deadline.await("the status of " + vm, STANDBY, () -> {
            answer.set(asked(vm));
            return answer.get() != null;
        });
        return Objects.requireNonNull(answer.get());
    }

    /** Null if the agent has turned this connection away, as it does with any under a flood of clients: one comes again. */
    private @Nullable ProtectionStatus asked(String vm) throws DemoFailure {
        try {
            return primary.protection(vm);
        } catch (IOException e) {
            return null;
        } catch (LockstepException e) {
            throw new DemoFailure("the status of " + vm + ": " + e.getMessage(), e);
        }
    }

    /** Returns when a standby waits on the peer. */
    void awaitStandby(String vm) throws InterruptedException, DemoFailure {
        Deadline.await("a standby of " + vm, STANDBY, () -> {
            try {
                return peer.replica(vm).standbyReady();
            } catch (LockstepException | IOException e) {
                throw new DemoFailure("the status of the peer: " + e.getMessage(), e);
            }
        });
    }

    /** Ends the QEMU that runs a VM on the peer, if there is one, and returns when it is gone. */
    void endPromoted(String vm) throws DemoFailure {
        Promotion promotion = peer.promotion(vm);
        if (promotion != null) {
            ProcessHandle.of(promotion.pid()).ifPresent(qemu -> {
                qemu.destroyForcibly();
                qemu.onExit().join();
            });
        }
    }

    private void end() {
        try {
            workspace.killAll();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        workspace.remove(true);
    }

    @Override
    public void close() {
        try {
            Runtime.getRuntime().removeShutdownHook(hook);
        } catch (IllegalStateException e) {
            return; // The JVM is ending, and the hook is at it.
        }
        end();
    }
}
