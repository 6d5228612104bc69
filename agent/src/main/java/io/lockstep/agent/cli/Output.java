package io.lockstep.agent.cli;

import java.io.FilterOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import org.jspecify.annotations.Nullable;

/** Remembers why nothing more can be written: writers that print swallow it. One thread. */
final class Output extends FilterOutputStream {
    private @Nullable IOException failure;

    Output(OutputStream to) {
        super(to);
    }

    @Override
    public void write(int b) throws IOException {
        write(new byte[] {(byte) b}, 0, 1);
    }

    @Override
    public void write(byte[] bytes, int offset, int length) throws IOException {
        try {
            out.write(bytes, offset, length);
        } catch (IOException e) {
            failure = e;
            throw e;
        }
    }

    boolean failed() {
        return failure != null;
    }

    /** Why it failed; null if it did not, or if its reader had enough. */
    @Nullable
    String complaint() {
        String message = failure == null ? null : String.valueOf(failure.getMessage());
        return message == null || message.contains("Broken pipe") ? null : message;
    }
}
