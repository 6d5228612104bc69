package io.lockstep.agent.api;

import static org.assertj.core.api.Assertions.assertThat;

import io.lockstep.agent.ModestThread;
import io.lockstep.agent.events.EventLog;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

class JobsTest {
    /** After the command's name in parentheses; proc_pid_stat(5), field 19. */
    private static final int NICE_FIELD = 17;

    /** The capture of a VM is started by a job, and had the API's nice value of 10 once: holds took twice as long on a busy host. */
    @Test
    @Timeout(30)
    void shouldNotBeModestWhenItsClientIs() throws Exception {
        int own = niceOfThisThread();
        try (Jobs jobs = new Jobs(new EventLog())) {
            CompletableFuture<Integer> asking = new CompletableFuture<>();
            CompletableFuture<Integer> working = new CompletableFuture<>();
            new ModestThread(() -> {
                        try {
                            asking.complete(niceOfThisThread());
                            jobs.start(
                                    "verify", "vm1", progress -> working.complete(niceOfThisThreadOrFail()), null, "");
                        } catch (Exception e) {
                            asking.completeExceptionally(e);
                            working.completeExceptionally(e);
                        }
                    })
                    .start();

            assertThat(asking.get(20, TimeUnit.SECONDS)).isGreaterThan(own);
            assertThat(working.get(20, TimeUnit.SECONDS)).isEqualTo(own);
        }
    }

    private static int niceOfThisThreadOrFail() {
        try {
            return niceOfThisThread();
        } catch (IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
    }

    private static int niceOfThisThread() throws IOException {
        String stat = Files.readString(Path.of("/proc/thread-self/stat"));
        return Integer.parseInt(stat.substring(stat.lastIndexOf(')') + 1).split(" ", -1)[NICE_FIELD]);
    }
}
