package io.lockstep.agent.daemon;

import io.lockstep.replication.LockstepException;
import io.lockstep.replication.link.ControlCodec;
import io.lockstep.replication.link.ControlMessage;
import io.lockstep.replication.link.ControlMessage.Promoted;
import io.lockstep.replication.link.ControlMessage.Released;
import io.lockstep.replication.link.ControlMessage.VmDied;
import io.lockstep.replication.link.FrameChannel;
import io.lockstep.replication.link.HelloCodec;
import io.lockstep.replication.link.LinkException;
import io.lockstep.replication.link.SessionDispatcher;
import io.lockstep.replication.link.SessionHandler;
import io.lockstep.replication.link.SessionHello;
import io.lockstep.replication.link.SessionReply;
import java.util.Objects;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import java.util.function.LongPredicate;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What a peer must hear of a VM that ended while no agent ran on its host, or no session with the peer; without it the peer takes the agent for
 * one that crashed, and waits. Said until it is heard, on a thread of its own for each such VM.
 *
 * <p>Invariant: the peer is told to run the VM only from an epoch behind which the world has seen nothing of it.
 */
final class LastWords {
    private static final Logger LOG = LoggerFactory.getLogger(LastWords.class);

    /** As for any session: the peer may have to read its replica first. */
    private static final long REPLY_TIMEOUT_MS = 30_000;

    /** The peer reads it in this time, or the connection is cut. */
    private static final long CLOSE_TIMEOUT_MS = 10_000;

    private static final long RETRY_NS_MIN = 200_000_000L;
    private static final long RETRY_NS_MAX = 10_000_000_000L;

    private final SessionHello hello;
    private final @Nullable VmDied run;
    private final LongPredicate runnable;
    private final String lost;
    private final Dial dial;
    private @Nullable SessionReply reply;
    private boolean answered;

    /** Opens a channel to the VM's peer. */
    @FunctionalInterface
    interface Dial {
        FrameChannel open() throws LockstepException;
    }

    private LastWords(SessionHello hello, @Nullable VmDied run, LongPredicate runnable, String lost, Dial dial) {
        this.hello = hello;
        this.run = run;
        this.runnable = runnable;
        this.lost = lost;
        this.dial = dial;
    }

    /**
     * Of a VM that ended while no agent looked.
     *
     * @param hello of the VM, with the widest bounds for the replica's epoch
     * @param handedOverEpoch epoch that the VM was frozen at when it was killed; -1 if it died otherwise
     */
    static LastWords unseen(SessionHello hello, long handedOverEpoch, Dial dial) {
        VmDied run = handedOverEpoch < 0
                ? null
                : new VmDied(
                        handedOverEpoch, "frozen at epoch " + handedOverEpoch + " for its switchover, and ended by it");
        return new LastWords(
                hello, run, epoch -> epoch == handedOverEpoch, "QEMU ended while no agent ran on its host", dial);
    }

    /**
     * Of a VM whose end was seen, and said to a peer that has not answered.
     *
     * @param hello of the VM, with the widest bounds for the replica's epoch
     * @param unheard {@link VmDied} or {@link Released}
     * @param stillTrue whether a VM that died may still be run by the peer; asked at each attempt, with the replica's epoch
     */
    static LastWords unheard(SessionHello hello, ControlMessage unheard, BooleanSupplier stillTrue, Dial dial) {
        VmDied run = unheard instanceof VmDied died ? died : null;
        return new LastWords(
                hello,
                run,
                epoch -> run != null && epoch >= run.committedEpoch() && stillTrue.getAsBoolean(),
                run != null ? "QEMU died while the peer could not be told" : ((Released) unheard).reason(),
                dial);
    }

    /**
     * Says it from a new thread, again and again until it was heard or refused.
     *
     * @param wanted whether it is still true; asked before each attempt
     * @param heard what to do then
     */
    void start(BooleanSupplier wanted, Runnable heard) {
        Thread thread = new Thread(() -> sayUntilHeard(wanted, heard), "last-words-" + hello.vmName());
        thread.setDaemon(true);
        thread.start();
    }

    private void sayUntilHeard(BooleanSupplier wanted, Runnable heard) {
        long delayNs = RETRY_NS_MIN;
        while (wanted.getAsBoolean()) {
            try {
                String said = say();
                LOG.warn("{}: the peer was told: {}", hello.vmName(), said);
                if (answered) {
                    heard.run();
                    return;
                }
            } catch (LinkException e) {
                if (e.kind() == LinkException.Kind.REFUSED) {
                    LOG.warn("{}: the peer does not want to hear of its end: {}", hello.vmName(), e.getMessage());
                    heard.run();
                    return;
                }
                LOG.warn("{}: the peer could not be told of its end: {}", hello.vmName(), e.getMessage());
            } catch (LockstepException e) {
                LOG.warn("{}: the peer could not be told of its end: {}", hello.vmName(), e.getMessage());
            }
            LockSupport.parkNanos(this, delayNs);
            delayNs = Math.min(RETRY_NS_MAX, delayNs * 2);
        }
    }

    /**
     * One attempt.
     *
     * @return what was said
     * @throws LockstepException if the peer was not reached; {@link LinkException.Kind#REFUSED} if it does not hold this VM's replica
     */
    String say() throws LockstepException {
        FrameChannel channel = dial.open();
        boolean said = false;
        try {
            HelloCodec.send(channel, hello);
            reply = null;
            if (!channel.receive((b, o, n) -> reply = HelloCodec.decodeReply(b, o, n), REPLY_TIMEOUT_MS)) {
                throw new LinkException(
                        LinkException.Kind.TIMEOUT,
                        "peer-silent",
                        "the peer did not answer the hello within " + REPLY_TIMEOUT_MS + " ms");
            }
            ControlMessage words = words(Objects.requireNonNull(reply));
            // Only of one that is to run does the peer say what became of it.
            answered = !(words instanceof VmDied);
            if (words == null) {
                return "nothing: it runs the VM already";
            }
            ControlCodec.send(channel, words);
            said = true;
            return words.toString();
        } finally {
            if (said) {
                channel.closeInOrder(new SessionDispatcher(new Answer()), CLOSE_TIMEOUT_MS);
            } else {
                channel.close();
            }
        }
    }

    private final class Answer implements SessionHandler {
        @Override
        public void onControl(ControlMessage message) {
            answered |= message instanceof Promoted;
        }
    }

    private @Nullable ControlMessage words(SessionReply answer) throws LinkException {
        return switch (answer.status()) {
            case RESUME ->
                runnable.test(answer.committedEpoch())
                        ? Objects.requireNonNull(run)
                        : new Released(
                                false, lost + ": what it did after epoch " + answer.committedEpoch() + " is lost");
            case FULL -> new Released(true, "QEMU ended, and there is no replica of it");
            case PROMOTED -> null;
            default -> throw new LinkException(LinkException.Kind.REFUSED, answer.code(), answer.cause());
        };
    }
}
