package io.lockstep.agent.view;

/**
 * What each page encoding put on the link so far.
 *
 * @param referenceBytes of disks' pages whose content was in memory that the peer had: 20 each instead of 4106
 * @param unchangedPages pages that were written with what they held, and not sent
 */
public record EncodingBytes(
        long zeroBytes, long deltaBytes, long lz4Bytes, long rawBytes, long referenceBytes, long unchangedPages) {
    /** Nothing sent. */
    public static final EncodingBytes NONE = new EncodingBytes(0, 0, 0, 0, 0, 0);
}
