package io.lockstep.telemetry.guest;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.BufferedReader;
import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.SocketChannel;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Predicate;

/** Lines over a unix socket of QEMU's: a serial port or the monitor. Everything that was read stays, so that a failing test can show it. */
final class LineChannel implements AutoCloseable {
    private final SocketChannel socket;
    private final List<String> lines = new ArrayList<>();
    private int next;
    private boolean ended;

    LineChannel(Path path) throws IOException {
        socket = SocketChannel.open(StandardProtocolFamily.UNIX);
        socket.connect(UnixDomainSocketAddress.of(path));
        Thread reader = new Thread(this::read, path.getFileName().toString());
        reader.setDaemon(true);
        reader.start();
    }

    private void read() {
        try (BufferedReader in = new BufferedReader(Channels.newReader(socket, UTF_8))) {
            for (String line = in.readLine(); line != null; line = in.readLine()) {
                synchronized (this) {
                    lines.add(line.strip());
                    notifyAll();
                }
            }
        } catch (IOException e) {
            // The other side is gone, or this one was closed.
        }
        synchronized (this) {
            ended = true;
            notifyAll();
        }
    }

    void write(String line) throws IOException {
        ByteBuffer bytes = ByteBuffer.wrap((line + "\n").getBytes(UTF_8));
        while (bytes.hasRemaining()) {
            socket.write(bytes);
        }
    }

    /** Waits for the next line that is wanted, after the last one that this method gave; those between are passed over. */
    synchronized String await(Predicate<String> wanted, Duration atMost) throws InterruptedException {
        long deadline = System.nanoTime() + atMost.toNanos();
        while (true) {
            while (next < lines.size()) {
                String line = lines.get(next++);
                if (wanted.test(line)) {
                    return line;
                }
            }
            long left = (deadline - System.nanoTime()) / 1_000_000;
            if (ended || left <= 0) {
                throw new AssertionError((ended ? "the line ended" : "nothing for " + atMost) + "; last lines: "
                        + lines.subList(Math.max(0, lines.size() - 20), lines.size()));
            }
            wait(left);
        }
    }

    /** Everything that was read until now. */
    synchronized List<String> all() {
        return List.copyOf(lines);
    }

    /** Waits until more lines were read than so many, or for so long. */
    synchronized void awaitMore(int count, Duration atMost) throws InterruptedException {
        long deadline = System.nanoTime() + atMost.toNanos();
        for (long left = atMost.toMillis(); lines.size() <= count && left > 0 && !ended; ) {
            wait(left);
            left = (deadline - System.nanoTime()) / 1_000_000;
        }
    }

    @Override
    public void close() throws IOException {
        socket.close();
    }
}
