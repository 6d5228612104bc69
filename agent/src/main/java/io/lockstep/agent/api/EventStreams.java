package io.lockstep.agent.api;

import com.fasterxml.jackson.core.JsonProcessingException;
import io.lockstep.agent.ModestThread;
import io.lockstep.agent.events.AgentEvent;
import io.lockstep.agent.events.EventLog;
import io.lockstep.replication.DutyCycle;
import io.lockstep.replication.LockstepException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import org.eclipse.jetty.http.HttpHeader;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.Response;
import org.eclipse.jetty.util.Callback;

/**
 * The followers of {@code GET /v1/events}. One thread hands events to all of them, each write at its reader's own pace: a reader is given
 * nothing before it has taken what it was given, and what was overwritten in the meantime becomes a {@code gap}. Nobody waits for a reader.
 */
final class EventStreams implements AutoCloseable {
    /** Streams at a time, half of them for the read-only socket: each holds a connection and at most one batch. */
    static final int STREAMS_MAX = 64;

    /** Events written at once: 64 × 2.5 kB × 64 streams, 10 MB at the worst. */
    private static final int BATCH_EVENTS = 64;

    /** A comment now and then shows a reader, and us, that the other side is there. */
    private static final long ALIVE_NS = 5_000_000_000L;

    /** A reader that takes nothing for so long is cut off; it can come back with Last-Event-ID. */
    private static final long STALLED_MS = 600_000;

    private final EventLog events;
    private final List<Stream> streams = new CopyOnWriteArrayList<>();
    private final Semaphore signal = new Semaphore(0);
    private final Runnable follower = signal::release;
    private final Thread thread = new ModestThread(this::run);
    private final DutyCycle rounds;
    private volatile boolean closed;

    EventStreams(EventLog events, DutyCycle rounds) {
        this.events = events;
        this.rounds = rounds;
        events.follow(follower);
        thread.setName("api-events");
        thread.start();
    }

    /** Begins a stream: from Last-Event-ID, else from now on; with {@code Last-Event-ID: 0} from the oldest event that is left. */
    void add(Request request, Response response, Callback callback, Pseudonyms names, boolean reader)
            throws LockstepException {
        String last = request.getHeaders().get("Last-Event-ID");
        if (last != null && !last.matches("[0-9]{1,18}")) {
            throw new BadRequestException("Last-Event-ID " + last + " is not a number of at most 18 digits.");
        }
        int streamsMax = reader ? STREAMS_MAX / 2 : STREAMS_MAX;
        if (streams.size() >= streamsMax) {
            throw new LockstepException(
                    "too-many-streams", streams.size() + " streams of events >= " + streamsMax + ". End one of them.");
        }
        response.setStatus(200);
        response.getHeaders().put(HttpHeader.CONTENT_TYPE, "text/event-stream");
        response.getHeaders().put(HttpHeader.CACHE_CONTROL, "no-store");
        request.getConnectionMetaData().getConnection().getEndPoint().setIdleTimeout(STALLED_MS);
        Stream stream = new Stream(response, callback, names, last == null ? events.lastId() : Long.parseLong(last));
        streams.add(stream);
        stream.write(": lockstep\n\n");
        signal.release();
    }

    private void run() {
        while (!closed) {
            long waitsNs = System.nanoTime();
            rounds.mark(waitsNs, waitsNs + ALIVE_NS);
            try {
                // Whether or not it is signalled: the next round does what is to do.
                boolean unused = signal.tryAcquire(ALIVE_NS, TimeUnit.NANOSECONDS);
                signal.drainPermits();
            } catch (InterruptedException e) {
                return;
            }
            long nowNs = System.nanoTime();
            rounds.mark(nowNs);
            streams.forEach(stream -> stream.advance(nowNs));
        }
    }

    @Override
    public void close() {
        closed = true;
        events.unfollow(follower);
        thread.interrupt();
        streams.forEach(Stream::end);
    }

    /** One reader. Its state is changed by the thread above and by Jetty's completions, one at a time. */
    private final class Stream implements Callback {
        private final Response response;
        private final Callback callback;
        private final Pseudonyms names;
        private long lastId;
        private long writtenNs;
        private boolean writing;
        private boolean caughtUp;
        private boolean ended;

        Stream(Response response, Callback callback, Pseudonyms names, long lastId) {
            this.response = response;
            this.callback = callback;
            this.names = names;
            this.lastId = lastId;
        }

        void advance(long nowNs) {
            String text;
            synchronized (this) {
                if (writing || ended) {
                    return;
                }
                EventLog.Batch batch = events.after(lastId, BATCH_EVENTS);
                text = text(batch);
                lastId = batch.lastId();
                if (text.isEmpty() && caughtUp && nowNs - writtenNs < ALIVE_NS) {
                    return;
                }
                // The first comment after the history tells its end.
                caughtUp |= text.isEmpty();
                writtenNs = nowNs;
            }
            write(text.isEmpty() ? ":\n\n" : text);
        }

        void write(String text) {
            synchronized (this) {
                if (ended) {
                    return;
                }
                writing = true;
            }
            response.write(false, ByteBuffer.wrap(text.getBytes(StandardCharsets.UTF_8)), this);
        }

        private String text(EventLog.Batch batch) {
            StringBuilder text = new StringBuilder();
            if (batch.lost() != 0) {
                // The id of the gap is that of the last event lost: who resumes from there misses nothing more.
                long upTo = batch.events().isEmpty()
                        ? batch.lastId()
                        : batch.events().get(0).id() - 1;
                text.append("id: ").append(upTo).append("\nevent: gap\ndata: {\"lost\":");
                text.append(batch.lost()).append("}\n\n");
            }
            for (AgentEvent event : batch.events()) {
                names.addSubject(event);
                text.append("id: ").append(event.id()).append("\nevent: ").append(event.kind());
                text.append("\ndata: ").append(json(event)).append("\n\n");
            }
            return text.toString();
        }

        private String json(AgentEvent event) {
            try {
                return names.hiding() ? ReaderView.of(event, names) : ApiHandler.MAPPER.writeValueAsString(event);
            } catch (JsonProcessingException e) {
                throw new IllegalStateException("an event cannot be rendered", e);
            }
        }

        @Override
        public void succeeded() {
            synchronized (this) {
                writing = false;
            }
            signal.release();
        }

        @Override
        public void failed(Throwable cause) {
            synchronized (this) {
                if (ended) {
                    return;
                }
                ended = true;
            }
            streams.remove(this);
            callback.failed(cause);
        }

        void end() {
            synchronized (this) {
                if (ended) {
                    return;
                }
                ended = true;
            }
            streams.remove(this);
            callback.succeeded();
        }
    }
}
