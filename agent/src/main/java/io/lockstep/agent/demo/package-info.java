/**
 * The demonstration: two agents, a guest whose state can be recomputed, a kill, and the proof that nothing was lost.
 *
 * <p>Owns the guest's hash chain as a verifier, the processes that a run starts, and the report. Talks to agents as any operator would:
 * over their management sockets.
 */
@NullMarked
package io.lockstep.agent.demo;

import org.jspecify.annotations.NullMarked;
