package io.lockstep.replication.protection;

import io.lockstep.replication.LockstepException;
import io.lockstep.replication.disk.DiskReplication;
import io.lockstep.replication.hypervisor.QmpConnection;
import io.lockstep.replication.hypervisor.QmpEvent;
import io.lockstep.replication.hypervisor.QmpEventListener;
import java.util.function.Consumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** What QEMU reported of the VM; each event has its defined effect on the protection. Capture thread only. */
final class VmEvents implements QmpEventListener {
    private static final Logger LOG = LoggerFactory.getLogger(VmEvents.class);

    private final String vmName;
    private final Consumer<QmpEvent> witness;
    private boolean running;
    private String ended = "";
    private String changed = "";
    private String jobEnded = "";
    private long resets;

    private VmEvents(String vmName, Consumer<QmpEvent> witness) {
        this.vmName = vmName;
        this.witness = witness;
    }

    /**
     * Listens from now on, and asks how things stand: an event that comes before the answer is older than it.
     *
     * @param witness gets every event besides; must not wait
     */
    static VmEvents listen(String vmName, QmpConnection qmp, Consumer<QmpEvent> witness) throws LockstepException {
        VmEvents events = new VmEvents(vmName, witness);
        qmp.listener(events);
        events.running = qmp.execute("query-status").path("running").asBoolean();
        return events;
    }

    @Override
    public void stopped(long nowNs) {
        running = false;
    }

    @Override
    public void resumed(long nowNs) {
        running = true;
    }

    @Override
    public void event(QmpEvent event) {
        witness.accept(event);
        switch (event.kind()) {
            case SHUTDOWN -> {
                ended = "shutdown, reason " + event.data().path("reason").asText("unknown");
                LOG.info("{}: {}", vmName, ended);
            }
            case RESET -> {
                resets++;
                LOG.info(
                        "{}: reset, reason {}",
                        vmName,
                        event.data().path("reason").asText("unknown"));
            }
            case DEVICE_DELETED ->
                changed = "device "
                        + event.data()
                                .path("device")
                                .asText(event.data().path("path").asText("?")) + " was removed";
            case MIGRATION -> changed = "somebody started a migration or snapshot";
            case GUEST_PANICKED -> LOG.warn("{}: the guest panicked; protection goes on as long as QEMU runs", vmName);
            case OTHER -> other(event);
            default -> LOG.debug("{}: event {}", vmName, event.name());
        }
    }

    private void other(QmpEvent event) {
        switch (event.name()) {
            case "BLOCK_JOB_COMPLETED", "BLOCK_JOB_CANCELLED", "BLOCK_JOB_ERROR" -> {
                String job = event.data().path("device").asText();
                LOG.info("{}: {} of {}", vmName, event.name(), job);
                if (DiskReplication.owns(job)) {
                    jobEnded = job;
                }
            }
            default -> LOG.debug("{}: event {}", vmName, event.name());
        }
    }

    /** The block job of ours that ended or failed last, since {@link #forgetJobs}; empty if none did. */
    String jobEnded() {
        return jobEnded;
    }

    /** Jobs of an earlier session do not count. */
    void forgetJobs() {
        jobEnded = "";
    }

    /** Whether vCPUs run; false also from a hold of our own to its end. */
    boolean running() {
        return running;
    }

    /** Why the VM ended by its own or its operator's will; empty if it did not. */
    String ended() {
        return ended;
    }

    /** What changed in the VM so that a standby of the old kind cannot take its state any more; empty if nothing did. */
    String changed() {
        return changed;
    }

    /** Resets seen. */
    long resets() {
        return resets;
    }
}
