package io.lockstep.telemetry.replay;

/** Lines of JSON: a value to a line, or one that is spread over several. For one thread. */
final class JsonText {
    private final RecordingSink sink;
    private final long writtenMs;
    private final JsonEvents events;
    private final StringBuilder open = new StringBuilder();
    private long openedAt;
    private int depth;
    private boolean inText;

    /** @param writtenMs the time of events that tell none */
    JsonText(RecordingSink sink, long writtenMs) {
        this.sink = sink;
        this.writtenMs = writtenMs;
        events = new JsonEvents(sink);
    }

    void line(String line, long number) {
        if (open.isEmpty() && line.isBlank()) {
            return;
        }
        if (!open.isEmpty() && line.startsWith("{\"")) {
            // A value that is spread over lines is indented: a new one has begun, and the last was cut off.
            end();
        }
        if (open.isEmpty()) {
            openedAt = number;
        }
        if (open.length() + line.length() > RecordingReader.LINE_BYTES_MAX) {
            sink.malformed(openedAt, "a value has more than " + RecordingReader.LINE_BYTES_MAX + " characters");
            reset();
            return;
        }
        open.append(line).append('\n');
        nest(line);
        if (depth <= 0) {
            String value = open.toString();
            reset();
            events.value(value, openedAt, writtenMs);
        }
    }

    private void nest(String line) {
        for (int i = 0; i < line.length(); i++) {
            char c = line.charAt(i);
            if (inText) {
                if (c == '\\') {
                    i++;
                } else {
                    inText = c != '"';
                }
            } else {
                inText = c == '"';
                depth += c == '{' || c == '[' ? 1 : c == '}' || c == ']' ? -1 : 0;
            }
        }
        // A text never goes over the end of a line.
        inText = false;
    }

    private void reset() {
        open.setLength(0);
        depth = 0;
    }

    void end() {
        if (!open.isEmpty()) {
            sink.malformed(openedAt, "no JSON: it ends in the middle of a value");
            reset();
        }
    }
}
