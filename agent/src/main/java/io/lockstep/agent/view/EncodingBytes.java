package io.lockstep.agent.view;

/**
 * What each page encoding put on the link so far.
 *
 * @param unchangedPages pages that were written with what they held, and not sent
 */
public record EncodingBytes(long zeroBytes, long deltaBytes, long lz4Bytes, long rawBytes, long unchangedPages) {
    /** Nothing sent. */
    public static final EncodingBytes NONE = new EncodingBytes(0, 0, 0, 0, 0);
}
