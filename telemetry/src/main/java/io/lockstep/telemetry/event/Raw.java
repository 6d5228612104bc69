package io.lockstep.telemetry.event;

/** What a source saw, undecoded, so that nothing is lost that a decoder does not know. Immutable. */
public interface Raw {
    /** Nothing more than the event says. */
    Raw NONE = new Text("");

    /** At most this many characters of a text are kept: a line of the kernel's log has at most 1024. */
    int CHARS_MAX = 1024;

    /** On one line, numbers in hexadecimal with their names; empty if there is nothing. */
    String words();

    /** A text as the source gave it, cut after {@link #CHARS_MAX} characters. */
    record Text(String words) implements Raw {
        public Text {
            words = words.length() > CHARS_MAX ? words.substring(0, CHARS_MAX) : words;
        }
    }

    /**
     * What a counter of the kernel's stood at when its growth was seen.
     *
     * @param name tells it from all others of this host
     * @param value that was read, at least 0
     * @param away whether it grew while no agent looked, nobody knows how fast
     * @param words cut after {@link #CHARS_MAX} characters
     */
    record Counter(String name, long value, boolean away, String words) implements Raw {
        public Counter {
            words = words.length() > CHARS_MAX ? words.substring(0, CHARS_MAX) : words;
        }
    }

    /**
     * Lines of a log.
     *
     * @param log tells it from all others of this host
     * @param position up to which all that the log says has been handed on, with this
     * @param words cut after {@link #CHARS_MAX} characters
     */
    record Logged(String log, long position, String words) implements Raw {
        public Logged {
            words = words.length() > CHARS_MAX ? words.substring(0, CHARS_MAX) : words;
        }
    }

    /**
     * A record of a log that outlives the kernel.
     *
     * @param name of what marks how far that log was read
     * @param mark that says so, once this has been handed on
     * @param words cut after {@link #CHARS_MAX} characters
     */
    record Marked(String name, String mark, String words) implements Raw {
        public Marked {
            words = words.length() > CHARS_MAX ? words.substring(0, CHARS_MAX) : words;
        }
    }
}
