package io.lockstep.agent.daemon;

import io.lockstep.agent.config.AgentConfig;
import io.lockstep.agent.view.HardwareView;
import io.lockstep.replication.LockstepException;
import io.lockstep.telemetry.event.Component;
import io.lockstep.telemetry.health.ComponentHealth;
import io.lockstep.telemetry.health.HealthListener;
import io.lockstep.telemetry.health.HealthState;
import java.util.ArrayDeque;
import java.util.Comparator;
import java.util.Deque;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.function.Supplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Moves the protected VMs away when a part of this host is about to fail. Changes of health come from the threads that watch the hardware, which
 * must not wait: the VMs are moved one after another on a thread of its own, those of the highest priority first.
 */
final class HardwarePolicy implements HealthListener, AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(HardwarePolicy.class);

    /** Actions that are remembered. */
    private static final int ACTIONS_MAX = 100;

    private final AgentConfig config;
    private final Supplier<List<String>> protectedVms;
    private final Mover mover;
    private final Deque<HardwareView.Action> actions = new ArrayDeque<>();
    private final ExecutorService thread = Executors.newSingleThreadExecutor(work -> {
        Thread made = new Thread(work, "hardware-policy");
        made.setDaemon(true);
        return made;
    });

    /** Moves a VM to its peer. */
    interface Mover {
        /** Returns once the VM runs there. */
        void move(String vm) throws LockstepException, InterruptedException;
    }

    /** @param protectedVms names of those that run here and are protected now */
    HardwarePolicy(AgentConfig config, Supplier<List<String>> protectedVms, Mover mover) {
        this.config = config;
        this.protectedVms = protectedVms;
        this.mover = mover;
    }

    @Override
    public void changed(ComponentHealth health, HealthState before) {
        HealthState limit = config.hardware().switchoverState();
        boolean passed = health.state().compareTo(limit) >= 0 && before.compareTo(limit) < 0;
        // What a guest does to itself is no reason to move it.
        if (passed && !(health.component() instanceof Component.Guest) && !thread.isShutdown()) {
            String reason = health.component().words() + " is " + health.state().words();
            thread.execute(() -> act(reason));
        }
    }

    private void act(String reason) {
        List<String> vms = protectedVms.get().stream()
                .sorted(Comparator.comparingInt((String vm) -> config.vm(vm).priority())
                        .reversed()
                        .thenComparing(Comparator.naturalOrder()))
                .toList();
        switch (config.hardware().switchover()) {
            case "on" -> vms.forEach(vm -> move(vm, reason));
            case "dry-run" -> vms.forEach(vm -> note("would switch " + vm + " over to its peer: " + reason));
            default -> note("nothing is switched over, as configured: " + reason);
        }
    }

    private void move(String vm, String reason) {
        try {
            note("switching " + vm + " over to its peer: " + reason);
            mover.move(vm);
            note(vm + " runs on its peer");
        } catch (LockstepException e) {
            note(vm + " was not switched over: " + e.getMessage());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private synchronized void note(String text) {
        LOG.warn("{}", text);
        actions.addLast(new HardwareView.Action(System.currentTimeMillis(), text));
        if (actions.size() > ACTIONS_MAX) {
            actions.removeFirst();
        }
    }

    /** What was done, newest last. Any thread. */
    synchronized List<HardwareView.Action> actions() {
        return List.copyOf(actions);
    }

    @Override
    public void close() {
        thread.shutdownNow();
    }
}
