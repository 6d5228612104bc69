package io.lockstep.replication.link;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.Security;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.agrona.concurrent.UnsafeBuffer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** TLS changes its keys under way (RFC 8446 section 4.6.3): after 2^37 bytes in the field, after 2^17 in a JVM of this test's own. */
class KeyUpdateTest {
    @TempDir
    private Path temp;

    @Test
    @Timeout(120)
    void shouldGoOnWhenTheKeysChangeAHundredTimes() throws Exception {
        Path output = temp.resolve("output");
        List<String> command = List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--add-opens=java.base/jdk.internal.misc=ALL-UNNAMED",
                "-cp",
                System.getProperty("surefire.test.class.path", System.getProperty("java.class.path")),
                "-Djavax.net.debug=ssl,handshake",
                Exchange.class.getName());
        Process process = new ProcessBuilder(command)
                .redirectErrorStream(true)
                .redirectOutput(output.toFile())
                .start();
        try {
            assertThat(process.waitFor(100, TimeUnit.SECONDS)).isTrue();
            List<String> lines = Files.readAllLines(output);
            assertThat(process.exitValue())
                    .as(() -> String.join("\n", lines.subList(Math.max(0, lines.size() - 30), lines.size())))
                    .isZero();
            assertThat(lines).contains("exchanged");
            long updates = lines.stream()
                    .filter(line -> line.contains("KeyUpdate: write key updated"))
                    .count();
            assertThat(updates).isGreaterThan(100);
        } finally {
            process.destroyForcibly();
        }
    }

    /** Runs in the other JVM. */
    static final class Exchange {
        private static final int MESSAGES = 200;
        private static final int PAGES_BYTES = 65_536;

        private Exchange() {}

        public static void main(String[] arguments) throws Exception {
            Security.setProperty(
                    "jdk.tls.keyLimits", "AES/GCM/NoPadding KeyUpdate 2^17, ChaCha20-Poly1305 KeyUpdate 2^17");
            try (LinkPair pair = new LinkPair()) {
                Thread back = new Thread(() -> exchange(pair.server, pair.client), "back");
                back.start();
                exchange(pair.client, pair.server);
                back.join(60_000);
                if (back.isAlive()) {
                    throw new IOException("the way back did not end");
                }
            }
            System.out.println("exchanged");
        }

        private static void exchange(FrameChannel from, FrameChannel to) {
            Thread sender = new Thread(
                    () -> {
                        try {
                            for (int i = 0; i < MESSAGES; i++) {
                                UnsafeBuffer message = TestMessages.batch(i, PAGES_BYTES);
                                from.send(message, 0, message.capacity());
                                from.flush();
                            }
                        } catch (LinkException e) {
                            fail(e);
                        }
                    },
                    "sender");
            sender.start();
            try {
                for (int i = 0; i < MESSAGES; i++) {
                    UnsafeBuffer expected = TestMessages.batch(i, PAGES_BYTES);
                    boolean came = to.receive(
                            (buffer, offset, length) -> assertThat(new UnsafeBuffer(buffer, offset, length))
                                    .isEqualTo(expected),
                            20_000);
                    assertThat(came).isTrue();
                }
                sender.join(20_000);
            } catch (LinkException | InterruptedException | AssertionError e) {
                fail(e);
            }
        }

        private static void fail(Throwable e) {
            System.out.println("failed: " + e);
            Runtime.getRuntime().halt(1);
        }
    }
}
