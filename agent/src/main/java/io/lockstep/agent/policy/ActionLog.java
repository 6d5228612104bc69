package io.lockstep.agent.policy;

import io.lockstep.agent.events.AgentEvent;
import io.lockstep.agent.events.EventLog;
import io.lockstep.agent.view.HardwareView;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.function.Consumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** What was done because of the hardware, or would have been: each is an event, a line in the log, and remembered. Any thread. */
public final class ActionLog {
    private static final Logger LOG = LoggerFactory.getLogger(ActionLog.class);

    /** Actions that are remembered. */
    static final int ACTIONS_MAX = 100;

    private final EventLog events;
    private final Consumer<String> lines;
    private final Deque<HardwareView.Action> actions = new ArrayDeque<>();

    /** What came of an action. */
    public enum Outcome {
        /** It begins. */
        STARTED,
        DONE,
        /** It would have been done: the configuration says dry-run, or it is a drill. */
        DRY_RUN,
        /** The configuration says off. */
        OFF,
        /** It would have done harm. */
        REFUSED,
        /** It was tried. */
        FAILED;

        /** As it is shown: lower case with dashes. */
        public String label() {
            return this == DRY_RUN ? "dry-run" : name().toLowerCase(java.util.Locale.ROOT);
        }
    }

    /** @param events where each action is published */
    public ActionLog(EventLog events) {
        this(events, LOG::warn);
    }

    /** @param lines gets each as a line */
    ActionLog(EventLog events, Consumer<String> lines) {
        this.events = events;
        this.lines = lines;
    }

    /**
     * Writes down an action.
     *
     * @param action its key in the configuration
     * @param subject the VM, the page, the CPU
     * @param text what, and why: with the evidence
     */
    public void note(String action, String subject, Outcome outcome, String text) {
        lines.accept("hardware " + action + " " + outcome.label() + ": " + text);
        synchronized (this) {
            actions.addLast(
                    new HardwareView.Action(System.currentTimeMillis(), action, subject, outcome.label(), text));
            if (actions.size() > ACTIONS_MAX) {
                actions.removeFirst();
            }
        }
        events.publish(AgentEvent.HARDWARE_ACTION, subject, outcome.label(), action + ": " + text);
    }

    /** What was done, newest last. */
    public synchronized List<HardwareView.Action> actions() {
        return List.copyOf(actions);
    }
}
