package io.lockstep.agent.api;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;

/** The API's description as it stands in the source tree. */
final class OpenApiDocument {
    private static final String TEXT = read();

    private OpenApiDocument() {}

    static String text() {
        return TEXT;
    }

    private static String read() {
        try (InputStream in = OpenApiDocument.class.getResourceAsStream("/openapi.json")) {
            if (in == null) {
                throw new IllegalStateException("the class path has no openapi.json");
            }
            return new String(in.readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
