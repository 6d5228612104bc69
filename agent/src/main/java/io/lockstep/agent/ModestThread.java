package io.lockstep.agent;

import io.lockstep.linux.LinuxException;
import io.lockstep.linux.Scheduling;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** A daemon thread that gives way to the threads of VMs and of replication; sched(7), nice values. */
public final class ModestThread extends Thread {
    private static final Logger LOG = LoggerFactory.getLogger(ModestThread.class);

    private static final int NICE = 10;

    /** @param work what it does, once started */
    public ModestThread(Runnable work) {
        super(work, "modest");
        setDaemon(true);
    }

    @Override
    public void run() {
        try {
            Scheduling.setNice(NICE);
        } catch (LinuxException e) {
            LOG.debug("{} keeps its priority: {}", getName(), e.getMessage());
        }
        super.run();
    }
}
