package io.lockstep.replication.hypervisor;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.lockstep.linux.Errno;
import io.lockstep.linux.LinuxException;
import io.lockstep.linux.Poll;
import io.lockstep.linux.UnixSocket;
import io.lockstep.replication.LockstepException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * A QMP session with one QEMU. {@link #execute} is for set-up; {@link #send}, {@link #receive} and {@link #reply} are for the epoch and
 * allocate nothing but for rare events. All calls from one thread, but for {@link #close()}.
 *
 * <pre>
 *   QEMU -> greeting        {"QMP": {"version": ..., "capabilities": [...]}}
 *   us   -> qmp_capabilities
 *   us   -> {"execute": NAME, "arguments": {...}, "id": N}
 *   QEMU -> {"return": ..., "id": N} or {"error": ..., "id": N}, and between them events
 * </pre>
 *
 * QEMU reads commands byte by byte, with seven system calls for each ({@code monitor_can_read} in {@code monitor/monitor.c}, a turn of its event loop
 * in {@code util/aio-posix.c}): 100 bytes take milliseconds where system calls are dear. So what must be quick is announced: all but its last brace is there
 * before it is needed. QEMU forgets what is not complete when the connection ends.
 */
public final class QmpConnection implements AutoCloseable {
    /** A reply that never came in this time will not come: QEMU hangs. The slowest set-up command takes well under a second. */
    private static final long EXECUTE_TIMEOUT_NS = 10_000_000_000L;

    /** From bind to listen QEMU takes microseconds; a socket that refuses longer was left behind by a dead one. */
    private static final long LISTEN_TIMEOUT_NS = 500_000_000;

    private static final long LISTEN_POLL_NS = 5_000_000;
    private static final long SEND_TIMEOUT_NS = 1_000_000_000L;
    /** Holds the events and replies of several epochs. */
    private static final int BUFFER_BYTES = 64 * 1024;
    /** `info qtree` of a VM with a thousand devices is about 1 MB. */
    private static final int BUFFER_BYTES_MAX = 16 * 1024 * 1024;

    /** By which we know our descriptors in QEMU again. */
    private static final String OWNER = "lockstep";

    /** Ends an announced command with a member that no command has: QEMU refuses the whole ({@code qmp_dispatch_check_obj} in {@code qapi/qmp-dispatch.c}). */
    private static final ByteBuffer WITHDRAWAL = direct(",\"withdrawn\":true}\n");

    private static final byte[] STOP = QmpLine.bytes("STOP");
    private static final byte[] RESUME = QmpLine.bytes("RESUME");
    private static final QmpEventListener IGNORE = new QmpEventListener() {
        @Override
        public void stopped(long nowNs) {}

        @Override
        public void resumed(long nowNs) {}

        @Override
        public void event(QmpEvent event) {}
    };

    private final ObjectMapper json = new ObjectMapper();
    private final String name;
    private final UnixSocket socket;
    private final Poll poll = new Poll(1);
    private final QmpLine line = new QmpLine();
    private QemuVersion version = QemuVersion.OLDEST;
    private QmpEventListener listener = IGNORE;
    private ByteBuffer input = ByteBuffer.allocateDirect(BUFFER_BYTES);
    private int scanned;
    private long nextId = 1;
    private long awaitedId = -1;
    private QmpReply awaitedReply = QmpReply.NONE;
    private boolean awaitedWanted;
    private long stoppedUs;
    private long resumedUs;
    private @Nullable JsonNode awaitedContent;
    private boolean greeted;
    private @Nullable QmpCommand announced;

    private QmpConnection(String name, UnixSocket socket) {
        this.name = name;
        this.socket = socket;
        poll.set(0, socket.fd(), Poll.IN);
    }

    /**
     * Connects and negotiates, whoever is at the other end.
     *
     * @throws LockstepException {@code qmp-unreachable} or {@code qmp-busy} (QEMU serves one client at a time on a socket)
     */
    public static QmpConnection open(Path path, long timeoutNs) throws LockstepException {
        QmpConnection connection = new QmpConnection(path.toString(), connect(path, timeoutNs));
        connection.negotiate(path, timeoutNs);
        return connection;
    }

    /**
     * Connects and negotiates.
     *
     * @param expected who must be at the other end
     * @throws LockstepException as {@link #open(Path, long)}, or {@code socket-not-qemus}
     */
    public static QmpConnection open(Path path, ListeningProcess expected, long timeoutNs) throws LockstepException {
        UnixSocket socket = connect(path, timeoutNs);
        try {
            expected.require(socket, path);
        } catch (LockstepException e) {
            socket.close();
            throw e;
        }
        QmpConnection connection = new QmpConnection(path.toString(), socket);
        connection.negotiate(path, timeoutNs);
        return connection;
    }

    private void negotiate(Path path, long timeoutNs) throws LockstepException {
        try {
            greet(path, timeoutNs);
        } catch (LockstepException e) {
            close();
            throw e;
        }
    }

    private static UnixSocket connect(Path path, long timeoutNs) throws LockstepException {
        long deadlineNs = System.nanoTime() + Math.min(timeoutNs, LISTEN_TIMEOUT_NS);
        while (true) {
            try {
                return UnixSocket.connect(path.toString());
            } catch (LinuxException e) {
                if (e.errno() == Errno.EAGAIN) {
                    throw busy(path, 0, e);
                }
                // A QEMU that just starts has bound the socket but does not listen yet.
                if (e.errno() != Errno.ECONNREFUSED || System.nanoTime() > deadlineNs) {
                    throw new LockstepException(
                            "qmp-unreachable",
                            "Cannot connect to the QMP socket " + path + ": " + e.getMessage()
                                    + ". Is QEMU running, and may this user connect?",
                            e);
                }
                LockSupport.parkNanos(LISTEN_POLL_NS);
            }
        }
    }

    private static LockstepException busy(Path path, long waitedMs, @Nullable Throwable cause) {
        String message = "The QMP socket " + path + " accepts no further client (no greeting within " + waitedMs
                + " ms): another one is connected. Disconnect it, or start QEMU with a second socket for Lockstep, e.g. "
                + "`-qmp unix:/run/NAME-lockstep.qmp,server=on,wait=off`.";
        return cause == null
                ? new LockstepException("qmp-busy", message)
                : new LockstepException("qmp-busy", message, cause);
    }

    private void greet(Path path, long timeoutNs) throws LockstepException {
        long deadlineNs = System.nanoTime() + timeoutNs;
        while (!greeted) {
            long leftNs = deadlineNs - System.nanoTime();
            if (leftNs <= 0) {
                throw busy(path, timeoutNs / 1_000_000, null);
            }
            await(leftNs);
            receive();
        }
        execute("qmp_capabilities");
    }

    /** Who gets the events from now on. */
    public void listener(QmpEventListener newListener) {
        listener = newListener;
    }

    /** The socket, for a poll with others; readable when {@link #receive} has something to do. */
    public int fd() {
        return socket.fd();
    }

    /** From the greeting. */
    public QemuVersion version() {
        return version;
    }

    /** A node to fill with arguments. */
    public ObjectNode arguments() {
        return json.createObjectNode();
    }

    /** Runs a command without arguments. */
    public JsonNode execute(String command) throws LockstepException {
        return execute(command, arguments());
    }

    /** Runs a command whose arguments are texts, numbers and booleans. */
    public JsonNode execute(String command, Map<String, ?> arguments) throws LockstepException {
        return execute(command, json.<JsonNode>valueToTree(arguments));
    }

    /**
     * Runs a command and waits for its reply; events go to the listener meanwhile.
     *
     * @return its {@code return}
     * @throws LockstepException {@code qmp-error} with QEMU's text, {@code qmp-timeout} or {@code qmp-closed}
     */
    public JsonNode execute(String command, JsonNode arguments) throws LockstepException {
        return execute(prepare(command, arguments));
    }

    /** The same with a command that was made, and perhaps announced, before. */
    public JsonNode execute(QmpCommand command) throws LockstepException {
        send(command);
        return awaitContent(command, EXECUTE_TIMEOUT_NS);
    }

    /** Runs a command of the human monitor and returns what it prints. */
    public String hmp(String commandLine) throws LockstepException {
        return execute("human-monitor-command", Map.of("command-line", commandLine))
                .asText()
                .replace("\r", "");
    }

    /** A descriptor that QEMU holds for us. */
    public record AddedDescriptor(int fdSet, int fd) {}

    /** Gives QEMU a copy of a descriptor of ours; {@link #removeDescriptor} takes it back. */
    public AddedDescriptor addDescriptor(int fd) throws LockstepException {
        QmpCommand command = prepare("add-fd", arguments().put("opaque", OWNER));
        withdraw();
        awaitReply(command);
        try {
            socket.sendDescriptor(command.bytes(), fd, SEND_TIMEOUT_NS);
        } catch (LinuxException e) {
            throw closed(e);
        }
        JsonNode added = awaitContent(command, EXECUTE_TIMEOUT_NS);
        return new AddedDescriptor(
                added.path("fdset-id").asInt(), added.path("fd").asInt());
    }

    /** Gives QEMU a copy of a descriptor under a name, for the next command that uses it. */
    public void passDescriptor(int fd, String name) throws LockstepException {
        QmpCommand command = prepare("getfd", arguments().put("fdname", name));
        withdraw();
        awaitReply(command);
        try {
            socket.sendDescriptor(command.bytes(), fd, SEND_TIMEOUT_NS);
        } catch (LinuxException e) {
            throw closed(e);
        }
        awaitContent(command, EXECUTE_TIMEOUT_NS);
    }

    /** Lets QEMU close what {@link #addDescriptor} gave it. */
    public void removeDescriptor(AddedDescriptor added) throws LockstepException {
        execute("remove-fd", Map.of("fdset-id", added.fdSet()));
    }

    /**
     * Lets QEMU close what an earlier life of this agent gave it: it does so by itself only once no monitor at all is connected.
     */
    public void removeStaleDescriptors() throws LockstepException {
        for (JsonNode set : execute("query-fdsets")) {
            if (OWNER.equals(set.path("fds").path(0).path("opaque").asText())) {
                execute("remove-fd", Map.of("fdset-id", set.path("fdset-id").asInt()));
            }
        }
    }

    /** Makes a command for many uses. */
    public QmpCommand prepare(String command, JsonNode arguments) {
        long id = nextId++;
        ObjectNode message = json.createObjectNode().put("execute", command);
        if (!arguments.isEmpty()) {
            message.set("arguments", arguments);
        }
        return new QmpCommand(command, id, message.put("id", id).toString());
    }

    /** Sends a command; its reply becomes {@link #reply}. One command at a time. What was announced and is another one is withdrawn before. */
    public void send(QmpCommand command) throws LockstepException {
        boolean half = announced == command;
        if (half) {
            announced = null;
        } else {
            withdraw();
        }
        awaitReply(command);
        sendBytes(half ? command.end() : command.bytes());
    }

    /**
     * Sends all of a command that does not make it one, so that QEMU has read it when {@link #send} sends the rest. Until then nothing happens, and
     * whatever else is sent withdraws it.
     */
    public void announce(QmpCommand command) throws LockstepException {
        if (announced != command) {
            withdraw();
            sendBytes(command.announcement());
            announced = command;
        }
    }

    private void withdraw() throws LockstepException {
        QmpCommand command = announced;
        if (command == null) {
            return;
        }
        announced = null;
        awaitReply(command);
        sendBytes(WITHDRAWAL.duplicate());
        awaitAnswer(command, EXECUTE_TIMEOUT_NS);
        if (awaitedReply != QmpReply.ERROR) {
            throw new LockstepException(
                    "qmp-protocol",
                    "QEMU ran " + command.name() + " on " + name + ", which had a member it does not know.");
        }
    }

    private void sendBytes(ByteBuffer bytes) throws LockstepException {
        try {
            socket.send(bytes, SEND_TIMEOUT_NS);
        } catch (LinuxException e) {
            throw closed(e);
        }
    }

    /** The state of the last command sent. */
    public QmpReply reply() {
        return awaitedReply;
    }

    /** When QEMU says that the VM stopped, since the last command was sent: microseconds since 1970 of the host's wall clock; 0 if it did not. */
    long stoppedUs() {
        return stoppedUs;
    }

    /** When QEMU says that it started the VM, likewise. */
    long resumedUs() {
        return resumedUs;
    }

    /** The text of the last error reply, empty if there was none. */
    public String errorText() {
        return awaitedContent == null ? "" : awaitedContent.path("desc").asText();
    }

    /**
     * Reads what has come, without waiting, and tells the listener.
     *
     * @throws LockstepException {@code qmp-closed} once QEMU has closed the connection
     */
    public void receive() throws LockstepException {
        try {
            while (true) {
                int count = socket.receive(input);
                if (count < 0) {
                    throw closed(null);
                }
                if (count == 0) {
                    return;
                }
                consume(System.nanoTime());
            }
        } catch (LinuxException e) {
            throw closed(e);
        }
    }

    /** Waits until something may have come. */
    public void await(long timeoutNs) throws LockstepException {
        try {
            poll.await(timeoutNs);
        } catch (LinuxException e) {
            throw closed(e);
        }
    }

    @Override
    public void close() {
        socket.close();
    }

    private void awaitReply(QmpCommand command) {
        awaitedId = command.id();
        awaitedReply = QmpReply.NONE;
        awaitedContent = null;
        awaitedWanted = false;
        stoppedUs = 0;
        resumedUs = 0;
    }

    private JsonNode awaitContent(QmpCommand command, long timeoutNs) throws LockstepException {
        awaitedWanted = true;
        awaitAnswer(command, timeoutNs);
        if (awaitedReply == QmpReply.ERROR) {
            throw new LockstepException("qmp-error", "QEMU refused " + command.name() + ": " + errorText() + ".");
        }
        JsonNode content = awaitedContent;
        return content == null ? arguments() : content;
    }

    private void awaitAnswer(QmpCommand command, long timeoutNs) throws LockstepException {
        long deadlineNs = System.nanoTime() + timeoutNs;
        while (awaitedReply == QmpReply.NONE) {
            long leftNs = deadlineNs - System.nanoTime();
            if (leftNs <= 0) {
                throw new LockstepException(
                        "qmp-timeout",
                        "QEMU did not answer " + command.name() + " on " + name + " within " + timeoutNs / 1_000_000
                                + " ms.");
            }
            await(leftNs);
            receive();
        }
    }

    private static ByteBuffer direct(String text) {
        byte[] bytes = text.getBytes(StandardCharsets.US_ASCII);
        return ByteBuffer.allocateDirect(bytes.length).put(bytes).flip();
    }

    private void consume(long nowNs) throws LockstepException {
        ByteBuffer buffer = input;
        int start = 0;
        int end = buffer.position();
        for (int i = scanned; i < end; i++) {
            if (buffer.get(i) == '\n') {
                lineComplete(buffer, start, i, nowNs);
                start = i + 1;
            }
        }
        buffer.limit(end).position(start);
        buffer.compact();
        scanned = buffer.position();
        if (!buffer.hasRemaining()) {
            grow();
        }
    }

    private void grow() throws LockstepException {
        if (input.capacity() >= BUFFER_BYTES_MAX) {
            throw new LockstepException(
                    "qmp-protocol", "QEMU sent a line of more than " + BUFFER_BYTES_MAX + " bytes on " + name + ".");
        }
        input = ByteBuffer.allocateDirect(input.capacity() * 2).put(input.flip());
    }

    private void lineComplete(ByteBuffer buffer, int start, int end, long nowNs) throws LockstepException {
        line.scan(buffer, start, end);
        switch (line.kind()) {
            case EVENT -> {
                if (line.isEvent(buffer, STOP)) {
                    stoppedUs = line.timeUs(buffer, end);
                    listener.stopped(nowNs);
                } else if (line.isEvent(buffer, RESUME)) {
                    resumedUs = line.timeUs(buffer, end);
                    listener.resumed(nowNs);
                } else {
                    JsonNode event = parse(buffer, start, end);
                    String eventName = event.path("event").asText();
                    JsonNode data = event.has("data") ? event.path("data") : arguments();
                    listener.event(new QmpEvent(QmpEvent.Kind.of(eventName), eventName, data));
                }
            }
            case RETURN -> {
                if (line.id() == awaitedId) {
                    awaitedContent = awaitedWanted ? parse(buffer, start, end).path("return") : null;
                    awaitedReply = QmpReply.RETURN;
                }
            }
            case ERROR -> {
                if (line.id() == awaitedId || line.id() < 0) {
                    awaitedContent = parse(buffer, start, end).path("error");
                    awaitedReply = QmpReply.ERROR;
                }
            }
            case OTHER -> greeting(buffer, start, end);
        }
    }

    private void greeting(ByteBuffer buffer, int start, int end) throws LockstepException {
        JsonNode numbers = parse(buffer, start, end).path("QMP").path("version").path("qemu");
        if (!greeted && numbers.has("major")) {
            version = new QemuVersion(
                    numbers.path("major").asInt(),
                    numbers.path("minor").asInt(),
                    numbers.path("micro").asInt());
            greeted = true;
        }
    }

    private JsonNode parse(ByteBuffer buffer, int start, int end) throws LockstepException {
        byte[] text = new byte[end - start];
        buffer.get(start, text);
        try {
            return json.readTree(text);
        } catch (JsonProcessingException e) {
            throw new LockstepException(
                    "qmp-protocol",
                    "QEMU sent no JSON on " + name + ": " + new String(text, StandardCharsets.UTF_8) + ".",
                    e);
        } catch (java.io.IOException e) {
            throw closed(e);
        }
    }

    private LockstepException closed(@Nullable Throwable cause) {
        String message = "QEMU closed the QMP connection " + name + ".";
        return cause == null
                ? new LockstepException("qmp-closed", message)
                : new LockstepException("qmp-closed", message, cause);
    }
}
