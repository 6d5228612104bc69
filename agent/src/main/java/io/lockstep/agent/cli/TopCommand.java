package io.lockstep.agent.cli;

import io.lockstep.agent.client.AgentClient;
import io.lockstep.agent.client.JsonTree;
import io.lockstep.replication.LockstepException;
import java.io.IOException;
import java.util.List;
import org.jline.terminal.Attributes;
import org.jline.terminal.Size;
import org.jline.terminal.Terminal;
import org.jline.terminal.TerminalBuilder;
import org.jline.utils.InfoCmp.Capability;
import org.jline.utils.NonBlockingReader;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;

/** {@code lockstep top}: the whole screen, live. */
@Command(
        name = "top",
        description =
                "Watch all VMs live on the whole screen. Keys: p, l, n sort by pause, lag, name; arrows and Enter show one VM; q ends.")
final class TopCommand extends AgentCall {
    private static final double SECONDS_MIN = 0.1;
    private static final double SECONDS_MAX = 60;
    private static final int ESCAPE = 27;
    private static final long ESCAPE_MS = 50;
    private static final long STEP_MS = 200;
    private static final int COLUMNS = 80;
    private static final int ROWS = 24;

    @Option(names = "--seconds", paramLabel = "N", defaultValue = "1", description = "Between two looks (default: 1).")
    double seconds;

    private boolean restored;

    @Override
    int ask(AgentClient client) throws LockstepException, IOException, RequestFailedException {
        if (!(seconds >= SECONDS_MIN && seconds <= SECONDS_MAX)) {
            throw new ParameterException(
                    spec.commandLine(), "--seconds " + seconds + " is not in " + SECONDS_MIN + ".." + SECONDS_MAX);
        }
        // The JVM's own handling of Ctrl-C runs the hook below; JLine's would end the process without it.
        try (Terminal terminal = TerminalBuilder.builder()
                .system(true)
                .exec(true)
                .dumb(false)
                .nativeSignals(false)
                .build()) {
            if (terminal.getStringCapability(Capability.cursor_address) == null) {
                throw new LockstepException(
                        "no-terminal",
                        "top needs a terminal whose cursor can be moved: TERM is "
                                + System.getenv().getOrDefault("TERM", "not set")
                                + ". `lockstep status --watch` does not.");
            }
            Attributes before = terminal.enterRawMode();
            Thread restore = new Thread(() -> restore(terminal, before), "restore");
            Runtime.getRuntime().addShutdownHook(restore);
            terminal.puts(Capability.enter_ca_mode);
            terminal.puts(Capability.cursor_invisible);
            try {
                watch(client, terminal);
            } finally {
                restore(terminal, before);
                Runtime.getRuntime().removeShutdownHook(restore);
            }
        } catch (IllegalStateException e) {
            throw new LockstepException(
                    "no-terminal",
                    "top needs a terminal: " + e.getMessage() + ". `lockstep status --watch` does not.",
                    e);
        }
        return ExitCode.OK;
    }

    /** What this prints is the last: while a signal ends the process, the thread that draws still runs. */
    synchronized void restore(Terminal terminal, Attributes before) {
        restored = true;
        terminal.puts(Capability.cursor_visible);
        terminal.puts(Capability.exit_ca_mode);
        terminal.flush();
        terminal.setAttributes(before);
    }

    private void watch(AgentClient client, Terminal terminal)
            throws LockstepException, IOException, RequestFailedException {
        TopScreen screen = new TopScreen();
        NonBlockingReader keys = terminal.reader();
        while (true) {
            JsonTree status = get(client, "/v1/status").json();
            JsonTree hardware = get(client, "/v1/hardware").json();
            screen.update(status, hardware);
            long untilNs = System.nanoTime() + (long) (seconds * 1e9);
            for (long leftMs = 1; leftMs > 0; leftMs = (untilNs - System.nanoTime()) / 1_000_000) {
                draw(terminal, screen);
                // In short steps, so that a new size shows at once.
                int key = keys.read(Math.min(leftMs, STEP_MS));
                if (key == NonBlockingReader.READ_EXPIRED) {
                    continue;
                }
                if (key == 'q' || key == 3 || key == NonBlockingReader.EOF) {
                    return;
                }
                screen.key(key == ESCAPE ? arrow(keys) : (char) key);
            }
        }
    }

    /** Up and down as k and j, as in many programs; Escape alone as itself. */
    private static char arrow(NonBlockingReader keys) throws IOException {
        int bracket = keys.read(ESCAPE_MS);
        if (bracket != '[' && bracket != 'O') {
            return ESCAPE;
        }
        return switch (keys.read(ESCAPE_MS)) {
            case 'A' -> 'k';
            case 'B' -> 'j';
            default -> 0;
        };
    }

    synchronized void draw(Terminal terminal, TopScreen screen) {
        if (restored) {
            return;
        }
        Size size = terminal.getSize();
        if (size.getColumns() <= 0 || size.getRows() <= 0) {
            size = new Size(COLUMNS, ROWS);
        }
        List<String> lines = screen.lines(size.getColumns(), size.getRows());
        StringBuilder frame = new StringBuilder("\u001b[H");
        for (int i = 0; i < lines.size(); i++) {
            frame.append(lines.get(i)).append("\u001b[K").append(i + 1 < lines.size() ? "\r\n" : "");
        }
        terminal.writer().print(frame.append("\u001b[J"));
        terminal.flush();
    }
}
