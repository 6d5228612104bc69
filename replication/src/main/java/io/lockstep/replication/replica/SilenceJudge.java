package io.lockstep.replication.replica;

import io.lockstep.replication.link.SessionHello;
import java.util.Objects;
import java.util.concurrent.TimeUnit;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * Judges the silence of a primary whose connection is open: when to fence its host, and whether to promote after that.
 *
 * <p>Invariants. A host is fenced only if the replica could be promoted then. Nothing is promoted after the window in which the primary, if it
 * lives, still holds its output back; nor before an epoch of this session is committed, because since its last epoch the VM may have sent what
 * nobody held back. A fence command that failed is run again only after its pause.
 *
 * <p>Under the replica's lock; the command itself runs between {@link #fence} and {@link #promote}, without it.
 */
final class SilenceJudge {
    private final Fencing fencing;
    private final OpenReplica open;
    private final Takeover takeover;
    private final StandbyKeeper keeper;
    private final CurrentState state;
    private final LongSupplier nowNs;
    private final long retryNs;
    private long nextFenceNs;
    private boolean caughtUp;

    SilenceJudge(
            Fencing fencing,
            OpenReplica open,
            Takeover takeover,
            StandbyKeeper keeper,
            CurrentState state,
            LongSupplier nowNs,
            long retryMs) {
        this.fencing = fencing;
        this.open = open;
        this.takeover = takeover;
        this.keeper = keeper;
        this.state = state;
        this.nowNs = nowNs;
        retryNs = TimeUnit.MILLISECONDS.toNanos(retryMs);
    }

    /** An agent was away, or the link. */
    void sessionBegins() {
        caughtUp = false;
    }

    /** @param consistent whether it is a state of the VM */
    void epochCommitted(boolean consistent) {
        caughtUp |= consistent;
    }

    /**
     * Nothing came from the primary since then.
     *
     * @return whether the fence command is to be run now: the state is FENCING
     */
    boolean fence(long lastReceivedNs, long nowNs) {
        SessionHello hello = open.hello();
        long silentNs = nowNs - lastReceivedNs;
        if (hello == null || silentNs < TimeUnit.MILLISECONDS.toNanos(hello.failureTimeoutMs())) {
            return false;
        }
        if (state.is(ReplicaState.SILENT) && nowNs - nextFenceNs < 0) {
            return false;
        }
        nextFenceNs = nowNs + retryNs;
        String silent = "nothing from the primary for " + TimeUnit.NANOSECONDS.toMillis(silentNs)
                + " ms > failureTimeoutMs " + hello.failureTimeoutMs();
        String obstacle = silentNs > windowNs(hello) ? tooLate(hello) : obstacle();
        if (obstacle != null) {
            state.change(ReplicaState.SILENT, nowNs, silent + "; " + obstacle);
            return false;
        }
        state.change(ReplicaState.FENCING, nowNs, silent);
        return true;
    }

    /**
     * The fence command has run.
     *
     * @param lastReceivedNs after all was taken that the primary had sent before
     * @return whether the replica is to be promoted
     */
    boolean promote(Fence.Outcome outcome, long lastReceivedNs) {
        if (!state.is(ReplicaState.FENCING)) {
            return false;
        }
        SessionHello hello = Objects.requireNonNull(open.hello());
        if (outcome.fenced() && nowNs.getAsLong() - lastReceivedNs > windowNs(hello)) {
            state.change(ReplicaState.SILENT, nowNs.getAsLong(), "fenced, but " + tooLate(hello));
            return false;
        }
        if (!outcome.fenced()) {
            state.error("fence-failed", outcome.detail());
            nextFenceNs = nowNs.getAsLong() + retryNs;
            state.change(ReplicaState.SILENT, nowNs.getAsLong(), "not fenced: " + outcome.detail());
            return false;
        }
        return true;
    }

    private long windowNs(SessionHello hello) {
        return TimeUnit.MILLISECONDS.toNanos(fencing.windowMs(hello));
    }

    private String tooLate(SessionHello hello) {
        return fencing.configured()
                ? "the silence is longer than " + fencing.windowMs(hello)
                        + " ms (failureTimeoutMs and the fence's timeoutMs), so that the primary, if it lives, has let its"
                        + " output go: `lockstep failover --force` promotes"
                : Objects.requireNonNull(obstacle());
    }

    private @Nullable String obstacle() {
        if (!fencing.configured()) {
            return "no fence command is configured: `lockstep failover --force` promotes";
        }
        if (!open.consistent()) {
            return "the replica is not consistent: it cannot be promoted";
        }
        if (!caughtUp && !takeover.held()) {
            return "no epoch of this session is committed, and what the VM did before may have been seen: `lockstep failover"
                    + " --force` promotes";
        }
        return takeover.held() || keeper.ready() ? null : "no standby is ready: nothing is fenced";
    }
}
