package io.lockstep.agent.client;

import io.lockstep.replication.LockstepException;
import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.ConnectException;
import java.net.StandardProtocolFamily;
import java.net.URLEncoder;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * One request a connection over the agent's unix socket: HTTP/1.1 with {@code Connection: close}, which makes the end of the answer the end of
 * the stream. A whole HTTP client would double the start-up time of a command. Any thread.
 */
public final class AgentClient {
    /** Bound of an answer: 10,000 journal epochs of 100 bytes are 1 MB. */
    private static final int RESPONSE_BYTES_MAX = 64 << 20;

    private final Path socket;

    /** @param socket the agent's; nothing happens until the first request */
    public AgentClient(Path socket) {
        this.socket = socket;
    }

    /**
     * An answer.
     *
     * @param status of HTTP
     * @param body JSON
     */
    public record Response(int status, String body) {
        /** Whether it is what was asked for, and not a problem. */
        public boolean ok() {
            return status / 100 == 2;
        }

        /** The body's fields, fit to be shown. */
        public JsonTree json() throws IOException {
            return JsonTree.parse(body).printable();
        }
    }

    /** A path segment that may hold any character, e.g. a VM's name. */
    public static String segment(String text) {
        return URLEncoder.encode(text, StandardCharsets.UTF_8).replace("+", "%20");
    }

    /** @throws AgentNotRunningException if nobody listens */
    public Response get(String path) throws LockstepException, IOException {
        return request("GET", path, "");
    }

    /** As {@link #get}; the body is a JSON object. */
    public Response post(String path, String body) throws LockstepException, IOException {
        return request("POST", path, body);
    }

    /** Takes the lines of a stream of events as they come. */
    @FunctionalInterface
    public interface Lines {
        /** False ends the stream. */
        boolean take(String line) throws IOException;
    }

    /**
     * Follows the agent's events until the taker has enough.
     *
     * @param lastId the event after which to begin; -1: those from now on
     * @return null after a stream; else the answer in place of one
     * @throws AgentNotRunningException if nobody listens, or the agent ends before
     */
    public @Nullable Response events(long lastId, Lines lines) throws LockstepException, IOException {
        try (SocketChannel channel = SocketChannel.open(StandardProtocolFamily.UNIX)) {
            connect(channel);
            String head = "GET /v1/events HTTP/1.1\r\nHost: lockstep\r\nConnection: close\r\n"
                    + (lastId < 0 ? "" : "Last-Event-ID: " + lastId + "\r\n") + "\r\n";
            ByteBuffer request = ByteBuffer.wrap(head.getBytes(StandardCharsets.UTF_8));
            while (request.hasRemaining()) {
                channel.write(request);
            }
            BufferedReader reader =
                    new BufferedReader(new InputStreamReader(Channels.newInputStream(channel), StandardCharsets.UTF_8));
            String status = reader.readLine();
            if (status == null || !status.startsWith("HTTP/1.1 200 ")) {
                StringBuilder answer = new StringBuilder(status == null ? "" : status);
                for (String line = reader.readLine(); line != null; line = reader.readLine()) {
                    answer.append("\r\n").append(line);
                }
                return response(answer.toString().getBytes(StandardCharsets.UTF_8));
            }
            String line = reader.readLine();
            while (line != null && lines.take(line)) {
                line = reader.readLine();
            }
            if (line == null) {
                throw new AgentNotRunningException(
                        "the agent at " + socket + " has ended. 'lockstep events --after ID', with the last id shown,"
                                + " goes on when it runs again.",
                        new EOFException());
            }
            return null;
        }
    }

    private Response request(String method, String path, String body) throws LockstepException, IOException {
        try (SocketChannel channel = SocketChannel.open(StandardProtocolFamily.UNIX)) {
            connect(channel);
            byte[] content = body.getBytes(StandardCharsets.UTF_8);
            String head = method + " " + path + " HTTP/1.1\r\nHost: lockstep\r\nConnection: close\r\n"
                    + "Content-Type: application/json\r\nContent-Length: " + content.length + "\r\n\r\n";
            ByteBuffer request = ByteBuffer.wrap((head + body).getBytes(StandardCharsets.UTF_8));
            while (request.hasRemaining()) {
                channel.write(request);
            }
            return response(readAll(channel));
        }
    }

    private void connect(SocketChannel channel) throws LockstepException, IOException {
        try {
            channel.connect(UnixDomainSocketAddress.of(socket));
        } catch (IOException e) {
            boolean hidden = String.valueOf(e.getMessage()).contains("Permission denied");
            if (hidden || (Files.exists(socket) && !Files.isWritable(socket))) {
                throw new LockstepException(
                        "not-permitted",
                        "no permission for " + socket + ". Run as root or as a member of its group.",
                        new AccessDeniedException(socket.toString()));
            }
            String found = e instanceof ConnectException || Files.notExists(socket) ? "" : " (" + e.getMessage() + ")";
            throw new AgentNotRunningException(
                    "no agent answers at " + socket + found + ". Start it with 'lockstep agent', or name its --root.",
                    e);
        }
    }

    private static byte[] readAll(SocketChannel channel) throws IOException {
        ByteArrayOutputStream all = new ByteArrayOutputStream();
        ByteBuffer buffer = ByteBuffer.allocate(16 << 10);
        while (channel.read(buffer) >= 0) {
            all.write(buffer.array(), 0, buffer.position());
            buffer.clear();
            if (all.size() > RESPONSE_BYTES_MAX) {
                throw new IOException("the agent's answer is longer than " + RESPONSE_BYTES_MAX + " bytes");
            }
        }
        return all.toByteArray();
    }

    private static Response response(byte[] bytes) throws IOException {
        String text = new String(bytes, StandardCharsets.UTF_8);
        int end = text.indexOf("\r\n\r\n");
        if (end < 0 || !text.startsWith("HTTP/1.1 ")) {
            throw new IOException("the agent ended the connection after " + bytes.length + " bytes");
        }
        return new Response(Integer.parseInt(text.substring(9, 12)), text.substring(end + 4));
    }
}
