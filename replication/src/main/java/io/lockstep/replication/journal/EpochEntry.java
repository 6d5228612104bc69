package io.lockstep.replication.journal;

/**
 * One committed epoch of the journal.
 *
 * @param wallMs when the VM ran again, on the primary's clock, milliseconds since 1970
 * @param pages in it
 * @param bytes of its records: encoded pages, device state, headers
 * @param beginIndex of its EpochBegin record
 * @param endIndex of its EpochEnd record
 */
public record EpochEntry(long epoch, long wallMs, long pages, long bytes, long beginIndex, long endIndex) {}
