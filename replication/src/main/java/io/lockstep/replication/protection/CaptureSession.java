package io.lockstep.replication.protection;

import io.lockstep.linux.LinuxException;
import io.lockstep.replication.LockstepException;
import io.lockstep.replication.link.ControlCodec;
import io.lockstep.replication.link.ControlMessage;
import io.lockstep.replication.link.ControlMessage.LinkError;
import io.lockstep.replication.link.ControlMessage.Promoted;
import io.lockstep.replication.link.ControlMessage.ScrubMismatch;
import io.lockstep.replication.link.ControlMessage.SwitchoverReady;
import io.lockstep.replication.link.ControlMessage.VerifyResult;
import io.lockstep.replication.link.LinkException;
import io.lockstep.replication.network.HeldUntil;
import io.lockstep.replication.pipeline.PagePipeline;
import io.lockstep.replication.pipeline.PipelineException;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.agrona.ExpandableArrayBuffer;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The session with the peer, as the capture thread has it: what came, what is said, and what is still owed.
 *
 * <p>Invariants. While it is up, and only then, the pipeline has its channel and epochs go on. Words follow everything that was captured before
 * them. Words of the VM's end are owed until the peer answers that it runs there. A verification ends with its answer or with the session.
 *
 * <p>Capture thread, but for the counts, {@link #unheard}, {@link #ackedEpoch} and {@link #begunEpoch}.
 */
final class CaptureSession {
    private static final Logger LOG = LoggerFactory.getLogger(CaptureSession.class);

    /** Last words travel in this time, or the peer's own rules decide. */
    private static final long LAST_WORDS_MS = 2_000;

    /** Somebody else works with the VM's disks, or still does: of a VM that was protected it is tried again, with the next session. */
    private static final Set<String> DISKS_BUSY = Set.of("qmp-error", "disk-mirror-stuck", "disk-export-stuck");

    private final String vmName;
    private final EpochCapture capture;
    private final EpochLoop loop;
    private final HeldUntil heldUntil;
    private final PagePipeline pipeline;
    private final SessionInbox inbox;
    private final CurrentState state;
    private final ExpandableArrayBuffer words = new ExpandableArrayBuffer();
    private final AtomicLong scrubMismatches = new AtomicLong();
    private final AtomicInteger resumed = new AtomicInteger();
    private volatile long ackedEpoch = -1;
    private volatile long begunEpoch = -1;
    private volatile @Nullable ControlMessage unheard;
    private boolean up;
    private @Nullable VerifyRun verifying;
    private @Nullable SwitchoverReady switchoverReady;
    private @Nullable Promoted promoted;

    CaptureSession(
            String vmName,
            EpochCapture capture,
            EpochLoop loop,
            HeldUntil heldUntil,
            PagePipeline pipeline,
            SessionInbox inbox,
            CurrentState state) {
        this.vmName = vmName;
        this.capture = capture;
        this.loop = loop;
        this.heldUntil = heldUntil;
        this.pipeline = pipeline;
        this.inbox = inbox;
        this.state = state;
    }

    boolean up() {
        return up;
    }

    /** Takes what the session's thread has brought. */
    void look(long nowNs) throws LockstepException, LinuxException {
        loop.acknowledged(inbox.ackedEpoch(), inbox.ackedNs());
        LockstepException ended = inbox.takeEnded();
        if (ended != null) {
            lost(ended);
        }
        SessionInbox.Established fresh = inbox.takeEstablished();
        if (fresh != null) {
            begin(fresh, nowNs);
        }
        takeAnswers();
    }

    /** Takes what the peer has said, also when its session has ended. */
    void takeAnswers() {
        for (ControlMessage message = inbox.takeMessage(); message != null; message = inbox.takeMessage()) {
            take(message);
        }
    }

    private void begin(SessionInbox.Established fresh, long nowNs) throws LockstepException, LinuxException {
        up = true; // what has begun in part is ended as a whole
        try {
            boolean resumes = loop.attach(fresh.channel(), fresh.reply(), nowNs);
            heldUntil.sessionBegan(fresh.reply().promotionWindowMs());
            if (resumes) {
                resumed.incrementAndGet();
            }
            state.change(
                    resumes ? ProtectionState.RECONNECTING : ProtectionState.SYNCING,
                    resumes ? "resumes from epoch " + fresh.reply().committedEpoch() : "full copy");
        } catch (LockstepException e) {
            boolean again = fresh.reply().committedEpoch() >= 0 && DISKS_BUSY.contains(e.code());
            if (!again && !(e instanceof PipelineException)) {
                throw e;
            }
            fresh.channel().close();
            lost(e);
        }
    }

    /** It ended, or broke: the VM runs on, and the pipeline is free for the next one. */
    void lost(LockstepException cause) {
        state.error(cause);
        heldUntil.sessionLost(cause, System.nanoTime());
        if (up) {
            up = false;
            loop.letGo();
            pipeline.abort(cause);
            try {
                pipeline.detach(LAST_WORDS_MS);
            } catch (PipelineException e) {
                LOG.warn("{}: {}", vmName, e.getMessage());
            }
            failVerify(cause);
            state.change(ProtectionState.RECONNECTING, String.valueOf(cause.getMessage()));
        }
    }

    private void take(ControlMessage message) {
        if (message instanceof VerifyResult result) {
            VerifyRun run = verifying;
            if (run != null) {
                verifying = null;
                run.result().complete(result);
            }
        } else if (message instanceof ScrubMismatch mismatch) {
            scrubMismatches.addAndGet(mismatch.differing().size());
            mismatch.differing().forEach(p -> capture.heal(p.block(), (int) p.page()));
            state.error(new LockstepException(
                    "scrub-mismatch",
                    mismatch.differing().size() + " pages differed at epoch " + mismatch.epoch() + ", first "
                            + mismatch.differing().get(0) + ": they are sent again. Report this with the log."));
        } else if (message instanceof SwitchoverReady ready) {
            switchoverReady = ready;
        } else if (message instanceof Promoted done) {
            promoted = done;
            unheard = null;
        } else if (message instanceof LinkError failure) {
            state.error(new LinkException(LinkException.Kind.REFUSED, failure.code(), failure.cause()));
        } else {
            LOG.warn("{}: the peer said {}", vmName, message);
        }
    }

    /** Compares all pages at the next boundary. */
    void verify(VerifyRun run) {
        if (!state.is(ProtectionState.PROTECTED)) {
            run.result().completeExceptionally(state.notProtected("verify"));
        } else if (verifying != null) {
            run.result()
                    .completeExceptionally(new LockstepException(
                            "verify-running", vmName + " is being verified already: wait for its result."));
        } else {
            verifying = run;
            loop.verifyNext(run);
        }
    }

    void failVerify(LockstepException cause) {
        VerifyRun run = verifying;
        if (run != null) {
            verifying = null;
            run.result().completeExceptionally(cause);
        }
    }

    /** Answers of an earlier switchover do not count. */
    void forgetSwitchover() {
        switchoverReady = null;
        promoted = null;
    }

    /** What the peer answered to the order to load the VM; null: nothing yet. */
    @Nullable
    SwitchoverReady switchoverReady() {
        return switchoverReady;
    }

    /** Whether the peer said that the VM runs there. */
    boolean promoted() {
        return promoted != null;
    }

    /**
     * Says something, after everything that was captured.
     *
     * @return whether it was sent; false also without a session
     */
    boolean tell(ControlMessage message) {
        if (!up) {
            return false;
        }
        try {
            int length = ControlCodec.encode(message, words);
            pipeline.message(words, 0, length);
            pipeline.awaitDrained(LAST_WORDS_MS);
            return true;
        } catch (PipelineException e) {
            LOG.warn("{}: could not tell the peer {}: {}", vmName, message, e.getMessage());
            return false;
        }
    }

    /** The peer must hear this, of the VM's end: it is owed until {@link Promoted} is the answer. */
    void owe(ControlMessage last) {
        unheard = last;
    }

    /** What is owed; null if there is nothing. */
    @Nullable
    ControlMessage unheard() {
        return unheard;
    }

    /** The loop has done a step. */
    void stepped() {
        ackedEpoch = loop.lastAcked();
        begunEpoch = loop.epoch();
    }

    /** The loop has an acknowledgement, and does no more steps for now. */
    void acknowledged() {
        ackedEpoch = loop.lastAcked();
    }

    long ackedEpoch() {
        return ackedEpoch;
    }

    long begunEpoch() {
        return begunEpoch;
    }

    long scrubMismatches() {
        return scrubMismatches.get();
    }

    int resumed() {
        return resumed.get();
    }
}
