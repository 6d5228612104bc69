package io.lockstep.agent.demo;

import io.lockstep.agent.view.Quantiles;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.locks.LockSupport;
import org.HdrHistogram.Histogram;
import org.jspecify.annotations.Nullable;

/**
 * A client that never reconnects, on a thread of its own: one request after the other on one TCP connection to the guest's server, each answer of
 * which depends on all requests before it (agent/guests/linux/server.c). It recomputes them. Some requests ask the guest to log them on its disk
 * before it answers; those answers are kept.
 *
 * <p>Lost is what the guest acknowledged and has forgotten; contradicted an answer that follows from no sequence of requests that ends with what
 * was asked.
 */
final class CounterClient implements AutoCloseable {
    private static final long HASH_FACTOR = 0xD1342543DE82EF95L;

    /** The guest's kernel boots, and loads its driver. */
    private static final long CONNECT_NS = 60_000_000_000L;

    private static final long CONNECT_RETRY_NS = 50_000_000;
    private static final int CONNECT_TIMEOUT_MS = 1_000;

    /** No failover takes so long; longer is a dead connection. */
    private static final int ANSWER_TIMEOUT_MS = 30_000;

    /** A person or program between two requests. */
    private static final long THINK_NS = 5_000_000;

    private static final int DIGITS = 3;
    private static final double NS_PER_MS = 1e6;

    private final Thread thread;
    private final int logEach;
    private final Histogram roundTripNs = new Histogram(DIGITS);
    private final List<String> logged = new ArrayList<>();
    private long longestNs;
    private long acks;
    private long lost;
    private long contradicted;
    private @Nullable String failure;
    private volatile boolean stopping;

    /** What a thread does before it opens a socket. */
    @FunctionalInterface
    interface Entry {
        void enter() throws IOException;
    }

    private CounterClient(InetSocketAddress server, int logEach, Entry entry) {
        this.logEach = logEach;
        thread = new Thread(() -> run(server, entry), "client");
        thread.setDaemon(true);
    }

    /**
     * Starts one; it waits for the server.
     *
     * @param logEach each so many requests one is to be logged; 0: none
     */
    static CounterClient start(InetSocketAddress server, int logEach, Entry entry) {
        CounterClient client = new CounterClient(server, logEach, entry);
        client.thread.start();
        return client;
    }

    private void run(InetSocketAddress server, Entry entry) {
        try {
            entry.enter();
            try (Socket socket = connect(server)) {
                socket.setTcpNoDelay(true);
                socket.setSoTimeout(ANSWER_TIMEOUT_MS);
                converse(socket);
            }
        } catch (IOException | RuntimeException e) {
            fail(e.toString());
        }
    }

    private Socket connect(InetSocketAddress server) throws IOException {
        long endNs = System.nanoTime() + CONNECT_NS;
        while (true) {
            Socket socket = new Socket();
            try {
                socket.connect(server, CONNECT_TIMEOUT_MS);
                return socket;
            } catch (IOException e) {
                socket.close();
                if (stopping || System.nanoTime() > endNs) {
                    throw e;
                }
                LockSupport.parkNanos(CONNECT_RETRY_NS);
            }
        }
    }

    private void converse(Socket socket) throws IOException {
        BufferedReader answers =
                new BufferedReader(new InputStreamReader(socket.getInputStream(), StandardCharsets.US_ASCII));
        long count = 0;
        long hash = 0;
        for (long number = 1; !stopping; number++) {
            boolean log = logEach > 0 && number % logEach == 0;
            long sentNs = System.nanoTime();
            socket.getOutputStream().write((number + (log ? " log\n" : "\n")).getBytes(StandardCharsets.US_ASCII));
            String answer = answers.readLine();
            long tookNs = System.nanoTime() - sentNs;
            if (answer == null) {
                throw new IOException("the guest closed the connection");
            }
            String[] parts = answer.split(" ", -1);
            count++;
            hash = (hash ^ number) * HASH_FACTOR + count;
            long answeredCount = Long.parseLong(parts[1]);
            long answeredHash = Long.parseUnsignedLong(parts[2], 16);
            boolean same = Long.parseLong(parts[0]) == number
                    && answeredCount == count
                    && answeredHash == hash
                    && parts.length == (log ? 4 : 3);
            took(tookNs, same, Math.max(0, count - answeredCount), log ? answer : null);
            count = answeredCount;
            hash = answeredHash;
            LockSupport.parkNanos(THINK_NS);
        }
    }

    private synchronized void took(long ns, boolean right, long forgotten, @Nullable String line) {
        acks++;
        lost += forgotten;
        contradicted += right || forgotten > 0 ? 0 : 1;
        longestNs = Math.max(longestNs, ns);
        if (line != null) {
            logged.add(line);
        } else {
            roundTripNs.recordValue(ns);
        }
    }

    private synchronized void fail(String why) {
        failure = why;
    }

    /** Answers so far. */
    synchronized long acks() {
        return acks;
    }

    /** Acknowledged requests that the guest has forgotten. */
    synchronized long lost() {
        return lost;
    }

    /** Other wrong answers. */
    synchronized long contradicted() {
        return contradicted;
    }

    /** The answers so far to requests that were to be logged. */
    synchronized List<String> logged() {
        return List.copyOf(logged);
    }

    /** How many those are. */
    synchronized int loggedCount() {
        return logged.size();
    }

    /** Round trips since the last call of this, in milliseconds, of requests that were not to be logged; the maximum is of all. */
    synchronized Quantiles roundTripMs() {
        Quantiles taken = new Quantiles(
                roundTripNs.getValueAtPercentile(50) / NS_PER_MS,
                roundTripNs.getValueAtPercentile(99) / NS_PER_MS,
                longestNs / NS_PER_MS);
        roundTripNs.reset();
        longestNs = 0;
        return taken;
    }

    /** @throws DemoFailure if the connection ended, or an answer was wrong */
    synchronized void check() throws DemoFailure {
        if (failure != null) {
            throw new DemoFailure("the client's connection ended: " + failure);
        }
        if (lost + contradicted > 0) {
            throw new DemoFailure("of " + acks + " acknowledged requests the guest has forgotten " + lost
                    + ", and contradicted " + contradicted);
        }
    }

    @Override
    public void close() {
        stopping = true;
        LockSupport.unpark(thread);
    }
}
