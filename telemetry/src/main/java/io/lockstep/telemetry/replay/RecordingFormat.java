package io.lockstep.telemetry.replay;

/** What a recording is, as its content tells. */
public enum RecordingFormat {
    /** Nothing that is known. */
    NONE("nothing that is known"),
    /** Events as {@code lockstep hardware events --json} writes them, or machine checks as JSON objects. */
    JSON("JSON"),
    /** {@code struct mce} one after another, as in {@code /sys/fs/pstore/mce-erst-*}. */
    MCE_RECORDS("raw machine checks"),
    /** The kernel's log, as dmesg, journalctl or /dev/kmsg give it. */
    KERNEL_LOG("a kernel log"),
    /** What mcelog writes, and what {@code mcelog --ascii} and mce-inject read. */
    MCELOG("mcelog's text");

    private final String words;

    RecordingFormat(String words) {
        this.words = words;
    }

    /** As it stands in a sentence, e.g. {@code a kernel log}. */
    public String words() {
        return words;
    }
}
