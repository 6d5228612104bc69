package io.lockstep.replication.disk;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import org.jspecify.annotations.Nullable;

/**
 * What a client asks about metadata contexts, of which {@link #ALLOCATION} is the only one here; NBD protocol, "Metadata querying".
 *
 * <pre>
 * u32 length, export's name | u32 count | count × (u32 length, query)
 * </pre>
 *
 * @param export the name in the question
 * @param count queries in it
 * @param exact whether the context was named
 * @param namespace whether all of its namespace was asked for, which only a listing may
 */
record NbdMetaQuery(ByteBuffer export, int count, boolean exact, boolean namespace) {
    /** What of the export takes space, and what reads as zeros. */
    static final String ALLOCATION = "base:allocation";

    /** Of this server's own choice; the client gets it with the context's name. */
    static final int ALLOCATION_ID = 1;

    private static final ByteBuffer CONTEXT = ByteBuffer.wrap(ALLOCATION.getBytes(StandardCharsets.UTF_8));
    private static final ByteBuffer NAMESPACE = CONTEXT.slice(0, "base:".length());

    /** From an option's data; null if it does not fit its length. */
    static @Nullable NbdMetaQuery parse(ByteBuffer data) {
        ByteBuffer export = string(data);
        if (export == null || data.remaining() < Integer.BYTES) {
            return null;
        }
        int count = data.getInt();
        boolean exact = false;
        boolean namespace = false;
        for (int i = 0; i != count; i++) {
            ByteBuffer query = string(data);
            if (query == null) {
                return null;
            }
            exact |= query.equals(CONTEXT);
            namespace |= query.equals(NAMESPACE);
        }
        return data.hasRemaining() ? null : new NbdMetaQuery(export, count, exact, namespace);
    }

    /** Takes {@code u32 length, bytes} from the buffer; null if there are not as many. */
    static @Nullable ByteBuffer string(ByteBuffer data) {
        if (data.remaining() < Integer.BYTES) {
            return null;
        }
        int bytes = data.getInt();
        if (bytes < 0 || bytes > data.remaining()) {
            return null;
        }
        ByteBuffer text = data.slice(data.position(), bytes);
        data.position(data.position() + bytes);
        return text;
    }
}
