package io.lockstep.perf.bench;

import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Random;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Clients of an agent's socket that leave it no rest. Seven of ten ask for everything as fast as they are answered; the others read slowly, send
 * garbage, too much, and half a request.
 */
final class ApiClients implements AutoCloseable {
    private static final String[] PATHS = {
        "/v1/status", "/v1/vms", "/metrics", "/v1/hardware", "/v1/agent", "/v1/host", "/v1/jobs", "/v1/openapi.json"
    };

    private static final int ANSWER_BYTES_MAX = 8 << 20;
    private static final int SLOW_MS = 5;
    private static final int GARBAGE_BYTES = 200;
    private static final int HUGE_BYTES = 20_000;

    private final Path socket;
    private final AtomicLong answers = new AtomicLong();
    private volatile boolean over;

    /** They begin at once. */
    ApiClients(Path socket, int count) {
        this.socket = socket;
        for (int i = 0; i < count; i++) {
            int number = i;
            Thread thread = new Thread(() -> run(number), "client-" + i);
            thread.setDaemon(true);
            thread.start();
        }
    }

    /** Requests that came to an end, of whatever kind. */
    long answers() {
        return answers.get();
    }

    @Override
    public void close() {
        over = true;
    }

    private void run(int number) {
        Random random = new Random(number);
        while (!over) {
            try {
                request(text(number % 10, random), number % 10 == 7 ? SLOW_MS : 0);
                answers.incrementAndGet();
            } catch (InterruptedException e) {
                return;
            } catch (IOException e) {
                // It was cut off: it comes again.
                answers.incrementAndGet();
            }
        }
    }

    private static String text(int kind, Random random) {
        switch (kind) {
            case 8 -> {
                byte[] garbage = new byte[GARBAGE_BYTES];
                random.nextBytes(garbage);
                return new String(garbage, StandardCharsets.ISO_8859_1) + "\r\n\r\n";
            }
            case 9 -> {
                return random.nextBoolean()
                        ? "GET /" + "x".repeat(HUGE_BYTES) + " HTTP/1.1\r\nHost: x\r\n\r\n"
                        : "POST /v1/vms/x/verify HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{";
            }
            default -> {
                String path = PATHS[random.nextInt(PATHS.length)];
                return "GET " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
            }
        }
    }

    /** @param slowMs before each 4 KiB of the answer */
    private void request(String text, int slowMs) throws IOException, InterruptedException {
        try (SocketChannel channel = SocketChannel.open(StandardProtocolFamily.UNIX)) {
            channel.connect(UnixDomainSocketAddress.of(socket));
            ByteBuffer bytes = ByteBuffer.wrap(text.getBytes(StandardCharsets.ISO_8859_1));
            while (bytes.hasRemaining()) {
                channel.write(bytes);
            }
            ByteBuffer buffer = ByteBuffer.allocate(4096);
            int read = 0;
            for (int count = 0; count >= 0 && read < ANSWER_BYTES_MAX && !over; count = channel.read(buffer)) {
                read += count;
                buffer.clear();
                Thread.sleep(slowMs);
            }
        }
    }
}
