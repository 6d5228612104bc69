package io.lockstep.telemetry.bmc;

import org.jspecify.annotations.Nullable;

/**
 * How far the log was told. In words {@code sel1 ERASED RECORD}, with the time of the log's last erasure and the last record that was told, in
 * hexadecimal; {@code -} for none; then {@code part} while the log has never been read to its end. Immutable.
 *
 * @param whole whether the log has been read to its end, now or in an earlier life
 * @param erased seconds by the controller's clock when the log was last erased
 * @param last the last record that was told; null if the log was empty
 */
record SelPosition(boolean whole, long erased, @Nullable SelRecord last) {
    private static final String MAGIC = "sel1";
    private static final String PART = "part";
    private static final SelPosition START = new SelPosition(false, 0, null);

    /** Of its words; of others, the start: the log is read as on the first day. */
    static SelPosition of(String text) {
        String[] words = text.strip().split(" ", -1);
        if (words.length < 3 || !words[0].equals(MAGIC)) {
            return START;
        }
        try {
            SelRecord last = words[2].equals("-") ? null : record(words[2]);
            return new SelPosition(words.length == 3, Long.parseLong(words[1]), last);
        } catch (IllegalArgumentException e) {
            return START;
        }
    }

    private static SelRecord record(String hex) {
        byte[] bytes = new byte[hex.length() / 2];
        for (int i = 0; i < bytes.length; i++) {
            bytes[i] = (byte) Integer.parseInt(hex.substring(2 * i, 2 * i + 2), 16);
        }
        return new SelRecord(bytes);
    }

    /** Its words. */
    String words() {
        return MAGIC + " " + erased + " " + (last == null ? "-" : last.hex()) + (whole ? "" : " " + PART);
    }
}
