package io.lockstep.agent;

import io.lockstep.agent.supervisor.ProgressSource;
import java.util.List;

/** A daemon that has started: what was protected before is attached again, or on its way. */
public interface Daemon extends AutoCloseable {
    /** What it can do. */
    VmOperations operations();

    /** The duty cycles that run now; the watchdog asks several times a second. */
    List<ProgressSource> progress();

    /** Ends in order: peers get a goodbye, the VMs run on. At most some seconds. */
    @Override
    void close();
}
