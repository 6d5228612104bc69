package io.lockstep.agent.view;

/**
 * One epoch in a replica's journal.
 *
 * @param wallMs when the VM ran again after its boundary, on the primary's clock, milliseconds since 1970
 * @param pages in it
 * @param bytes of encoded pages and device state
 */
public record JournalEpoch(long epoch, long wallMs, long pages, long bytes) {}
