package io.lockstep.agent.demo;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.locks.LockSupport;

/**
 * Follows the guest's serial port, which QEMU writes to a file, and keeps every tick with the time at which it came.
 *
 * <p>Invariant: ticks are kept in the file's order, and none is dropped. A thread of its own reads; the other methods may be called from any
 * thread.
 */
public final class SerialLog implements AutoCloseable {
    private static final long POLL_NS = 1_000_000;
    /** A line of the guests has at most 35 bytes; a kernel's message may be longer, and is of no interest beyond this. */
    private static final int LINE_BYTES_MAX = 512;

    private final FileChannel file;
    private final long pollNs;
    private final Thread reader;
    private final List<Tick> ticks = new ArrayList<>();
    private final StringBuilder line = new StringBuilder(LINE_BYTES_MAX);
    private volatile boolean closed;
    private long offset;
    private long lineOffset;

    /**
     * Creates the file and begins to read, as often as the gap of a failover asks for.
     *
     * @throws IOException if the file cannot be created
     */
    public SerialLog(Path path) throws IOException {
        this(path, POLL_NS);
    }

    /**
     * As above, with a period of its own.
     *
     * @param pollNs bounds the error of a tick's time; each look takes some 0.05 ms of a processor, which the guest may want
     */
    public SerialLog(Path path, long pollNs) throws IOException {
        this.pollNs = pollNs;
        file = FileChannel.open(path, StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE);
        reader = new Thread(this::read, "serial-log");
        reader.setDaemon(true);
        reader.start();
    }

    /** Bytes in the file now. */
    public long sizeBytes() {
        try {
            return file.size();
        } catch (IOException e) {
            throw new UncheckedIOException("size of the serial log", e);
        }
    }

    /** How many ticks were read so far. */
    public synchronized int count() {
        return ticks.size();
    }

    /** The ticks from an index on, as a copy. */
    public synchronized List<Tick> from(int index) {
        return List.copyOf(ticks.subList(index, ticks.size()));
    }

    private void read() {
        ByteBuffer buffer = ByteBuffer.allocate(65536);
        while (!closed) {
            try {
                buffer.clear();
                if (file.read(buffer, offset) > 0) {
                    take(buffer.flip(), System.nanoTime());
                } else {
                    LockSupport.parkNanos(pollNs);
                }
            } catch (IOException e) {
                return; // Closed, which is how this thread ends.
            }
        }
    }

    private void take(ByteBuffer bytes, long nowNs) {
        String text = StandardCharsets.ISO_8859_1.decode(bytes).toString();
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            offset++;
            if (c == '\n') {
                Tick tick = Tick.parse(line.toString().trim(), nowNs, lineOffset, offset);
                line.setLength(0);
                lineOffset = offset;
                if (tick != null) {
                    synchronized (this) {
                        ticks.add(tick);
                    }
                }
            } else if (line.length() < LINE_BYTES_MAX) {
                line.append(c);
            }
        }
    }

    @Override
    public void close() throws IOException {
        closed = true;
        file.close();
    }
}
