package io.lockstep.replication.disk;

/**
 * How the copy of a disk stands.
 *
 * @param disk which
 * @param mirrored whether the peer has been sent all of every disk, and gets every write
 * @param doneBytes data read in the present or last copy: what is a hole costs nothing
 * @param totalBytes data to read in it, as far as is known
 * @param tookNs so far, or in all
 */
public record DiskProgress(GuestDisk disk, boolean mirrored, long doneBytes, long totalBytes, long tookNs) {}
