package io.lockstep.agent;

import io.lockstep.agent.config.AgentConfig;
import io.lockstep.agent.supervisor.ProgressSource;
import java.util.List;

/** A daemon whose one duty cycle goes on by itself: for tests of the process around it. */
public final class FakeDaemonFactory implements DaemonFactory {
    @Override
    public Daemon start(AgentPaths paths, AgentConfig config, boolean sameHostForTesting) {
        FakeOperations operations = new FakeOperations();
        ProgressSource cycle = new ProgressSource() {
            @Override
            public String name() {
                return "fake";
            }

            @Override
            public long lastProgressNs() {
                return System.nanoTime();
            }

            @Override
            public long progressTimeoutNs() {
                return 500_000_000;
            }
        };
        return new Daemon() {
            @Override
            public VmOperations operations() {
                return operations;
            }

            @Override
            public List<ProgressSource> progress() {
                return List.of(cycle);
            }

            @Override
            public void close() {}
        };
    }
}
