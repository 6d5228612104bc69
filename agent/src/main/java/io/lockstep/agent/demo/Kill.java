package io.lockstep.agent.demo;

/** What the demo kills, always with SIGKILL. */
public enum Kill {
    /** The QEMU process alone: its agent says so, and the peer promotes at once. */
    VM,
    /** QEMU, its agent and the agent's supervisor together, and the link goes silent: the peer fences, then promotes. */
    HOST,
    /** The agent alone: the VM runs on, the supervisor brings the agent back, and protection goes on without a full copy. */
    AGENT
}
