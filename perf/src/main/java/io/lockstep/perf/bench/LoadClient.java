package io.lockstep.perf.bench;

import io.lockstep.agent.demo.GuestNetwork;
import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.locks.LockSupport;
import org.HdrHistogram.Histogram;
import org.jspecify.annotations.Nullable;

/**
 * A client outside of the guest, which asks at a fixed rate on one connection whether answers come or not. A round trip counts from when the
 * request was due, so that an answer that was late makes those behind it late, too.
 */
final class LoadClient implements AutoCloseable {
    private static final int CONNECT_MS = 60_000;
    private static final int ANSWER_MS = 30_000;
    /** What may be under way at once; more, and the sender waits, which counts. */
    private static final int UNDER_WAY_MAX = 65_536;

    private static final int DIGITS = 3;
    private static final long NS_PER_S = 1_000_000_000;

    private final Socket socket;
    private final long periodNs;
    private final ArrayBlockingQueue<Long> due = new ArrayBlockingQueue<>(UNDER_WAY_MAX);
    private final Histogram roundTripNs = new Histogram(DIGITS);
    private long firstNs;
    private long lastNs;
    private long longestGapNs;
    private volatile @Nullable IOException failure;
    private volatile boolean open = true;

    /**
     * What came of it.
     *
     * @param perSecond answers
     * @param longestGapNs between two answers
     */
    record Result(Histogram roundTripNs, double perSecond, long longestGapNs) {}

    private LoadClient(Socket socket, int perSecond) {
        this.socket = socket;
        this.periodNs = NS_PER_S / perSecond;
    }

    /** Connects, and begins to ask. */
    static LoadClient start(int perSecond) throws IOException {
        Socket socket = connect();
        socket.setTcpNoDelay(true);
        socket.setSoTimeout(ANSWER_MS);
        LoadClient client = new LoadClient(socket, perSecond);
        thread(client::send, "client-send");
        thread(client::receive, "client-receive");
        return client;
    }

    /** The guest's server begins to listen some time after its first tick. */
    private static Socket connect() throws IOException {
        long endNs = System.nanoTime() + CONNECT_MS * 1_000_000L;
        while (true) {
            Socket socket = new Socket();
            try {
                socket.connect(new InetSocketAddress(GuestNetwork.GUEST_ADDRESS, GuestNetwork.PORT), 1_000);
                return socket;
            } catch (IOException e) {
                socket.close();
                if (System.nanoTime() > endNs) {
                    throw e;
                }
                LockSupport.parkNanos(50_000_000);
            }
        }
    }

    private static void thread(Runnable body, String name) {
        Thread thread = new Thread(body, name);
        thread.setDaemon(true);
        thread.start();
    }

    private void send() {
        try {
            OutputStream out = socket.getOutputStream();
            long nextNs = System.nanoTime();
            for (long number = 1; open; number++) {
                while (System.nanoTime() < nextNs && open) {
                    LockSupport.parkNanos(nextNs - System.nanoTime());
                }
                due.put(nextNs);
                out.write((number + "\n").getBytes(StandardCharsets.US_ASCII));
                nextNs += periodNs;
            }
        } catch (IOException e) {
            fail(e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private void receive() {
        try {
            InputStream in = new BufferedInputStream(socket.getInputStream());
            while (open) {
                int c = in.read();
                if (c < 0) {
                    throw new IOException("the guest closed the connection");
                }
                if (c == '\n') {
                    answered(System.nanoTime());
                }
            }
        } catch (IOException e) {
            fail(e);
        }
    }

    private synchronized void answered(long nowNs) throws IOException {
        Long dueNs = due.poll();
        if (dueNs == null) {
            throw new IOException("an answer that nobody asked for");
        }
        roundTripNs.recordValue(Math.max(1, nowNs - dueNs));
        if (firstNs == 0) {
            firstNs = nowNs;
        } else {
            longestGapNs = Math.max(longestGapNs, nowNs - lastNs);
        }
        lastNs = nowNs;
    }

    private void fail(IOException cause) {
        if (open) {
            failure = cause;
        }
    }

    /** What was measured since the last call of this, or since the start. */
    synchronized Result take() throws IOException {
        IOException cause = failure;
        if (cause != null) {
            throw new IOException("the client's connection ended: " + cause.getMessage(), cause);
        }
        long count = roundTripNs.getTotalCount();
        double perSecond = lastNs > firstNs ? (count - 1) * 1e9 / (lastNs - firstNs) : 0;
        Result result = new Result(roundTripNs.copy(), perSecond, longestGapNs);
        roundTripNs.reset();
        firstNs = 0;
        longestGapNs = 0;
        return result;
    }

    /** Whether an answer came after that time. */
    synchronized boolean answeredSince(long ns) {
        return lastNs > ns;
    }

    @Override
    public void close() throws IOException {
        open = false;
        socket.close();
    }
}
