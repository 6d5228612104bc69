package io.lockstep.replication.pipeline;

import java.io.IOException;
import java.nio.ByteBuffer;

/** Where decoded pages go. Block and page have been checked against the session's RAM blocks. */
public interface PageSink {
    /** Fills the buffer, from position 0 to 4096, with the page's present content: the base of a delta. */
    void read(int block, int page, ByteBuffer into) throws IOException;

    /** Takes a page's new content: a direct buffer from position 0 to limit 4096, valid during the call. */
    void write(int block, int page, ByteBuffer content) throws IOException;

    /** The page is zero now. */
    void zero(int block, int page) throws IOException;
}
