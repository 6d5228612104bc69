package io.lockstep.agent.view;

/** What this agent does for a VM. */
public enum Role {
    /** Nothing: found running here, not protected. */
    NONE,
    /** It runs here and its epochs go to a peer. */
    PRIMARY,
    /** It runs elsewhere and this host holds its replica. */
    REPLICA
}
