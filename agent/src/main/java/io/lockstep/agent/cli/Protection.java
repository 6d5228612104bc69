package io.lockstep.agent.cli;

import java.util.Locale;

/** What becomes of a VM's network output. */
enum Protection {
    /** Held until the peer has the epoch that it belongs to. */
    LOCKSTEP,
    /** Not held. */
    ASYNC;

    /** As the API knows it. */
    String text() {
        return name().toLowerCase(Locale.ROOT);
    }

    /** As completion offers it. */
    @Override
    public String toString() {
        return text();
    }
}
