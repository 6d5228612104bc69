package io.lockstep.agent.cli;

import io.lockstep.agent.client.AgentClient;
import io.lockstep.agent.client.AgentClient.Response;
import io.lockstep.agent.client.JsonTree;
import io.lockstep.replication.LockstepException;
import java.io.IOException;
import java.io.PrintWriter;
import java.util.Locale;
import java.util.concurrent.locks.LockSupport;

/** Starts a job at the agent and follows it to its end, with a progress line on stderr. */
final class Verb {
    private static final long POLL_NS_MIN = 5_000_000;
    private static final long POLL_NS_MAX = 200_000_000;

    /** Between two progress lines where they do not overwrite each other. */
    private static final long LINE_NS = 1_000_000_000;

    private final AgentClient client;
    private final PrintWriter progress;
    private final boolean overwrite;

    /** @param overwrite whether progress goes to a terminal, where one line is written again and again */
    Verb(AgentClient client, PrintWriter progress, boolean overwrite) {
        this.client = client;
        this.progress = progress;
        this.overwrite = overwrite;
    }

    /**
     * Runs a verb of a VM.
     *
     * @param vm as the API understands it
     * @param wait false: return as soon as the agent has begun, after its checks
     * @return the job as it then is
     */
    Response run(String vm, String verb, String body, boolean wait)
            throws LockstepException, IOException, RequestFailedException {
        Response response = client.post("/v1/vms/" + AgentClient.segment(vm) + "/" + verb, body);
        long pollNs = POLL_NS_MIN;
        long lineNs = System.nanoTime();
        boolean line = false;
        while (true) {
            if (!response.ok()) {
                throw RequestFailedException.of(response);
            }
            JsonTree job = response.json();
            String state = job.get("state").text();
            boolean ended = !state.equals("running");
            if (ended || (!wait && !job.get("phase").text().isEmpty())) {
                if (line && overwrite) {
                    progress.println();
                    progress.flush();
                }
                if (state.equals("failed")) {
                    throw RequestFailedException.ofJob(job.get("error"));
                }
                return response;
            }
            if (wait && !job.get("phase").text().isEmpty() && (overwrite || System.nanoTime() - lineNs >= LINE_NS)) {
                print(job);
                line = true;
                lineNs = System.nanoTime();
            }
            LockSupport.parkNanos(pollNs);
            pollNs = Math.min(POLL_NS_MAX, pollNs * 2);
            response = client.get("/v1/jobs/" + job.get("id").text());
        }
    }

    private void print(JsonTree job) {
        String line = progressLine(job);
        if (overwrite) {
            progress.print("\r" + line + "\u001b[K");
        } else {
            progress.println(line);
        }
        progress.flush();
    }

    static String progressLine(JsonTree job) {
        long done = job.get("done").integer();
        long total = job.get("total").integer();
        String line = job.get("vm").text() + ": " + job.get("phase").text().replace('-', ' ') + ", "
                + Text.bytes((double) done);
        if (total > 0) {
            line += " of " + Text.bytes((double) total) + String.format(Locale.ROOT, " (%d %%)", done * 100 / total);
        }
        line += ", " + Text.bytes(job.get("bytesPerSecond").number()) + "/s";
        long remainingMs = job.get("remainingMs").integer();
        return remainingMs < 0 ? line : line + ", " + Text.duration(remainingMs) + " left";
    }
}
