package io.lockstep.agent.demo;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.MapperFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.lockstep.agent.Progress;
import io.lockstep.agent.client.AgentClient;
import io.lockstep.agent.view.AgentView;
import io.lockstep.agent.view.ProtectionStatus;
import io.lockstep.agent.view.ReplicaView;
import io.lockstep.replication.LockstepException;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;

/** An agent's management socket with the agent's own records for answers. Single-threaded. */
final class AgentApi {
    /** The longest verb of a run is the first copy, or the comparison of all memory: seconds. */
    private static final Duration JOB = Duration.ofMinutes(5);

    /** The agent answers on the cores that the job needs. */
    private static final long JOB_POLL_NS = 50_000_000;

    private static final ObjectMapper JSON = JsonMapper.builder()
            .enable(MapperFeature.ACCEPT_CASE_INSENSITIVE_ENUMS)
            .disable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
            .build();

    private final AgentClient client;

    /** What is replicated from and to the agent's host. */
    record Status(List<ProtectionStatus> protections, List<ReplicaView> replicas) {}

    AgentApi(Path socket) {
        client = new AgentClient(socket);
    }

    /** About the agent. */
    AgentView agent() throws LockstepException, IOException {
        return read(answer(client.get("/v1/agent")), AgentView.class);
    }

    /** Its metrics, in the text format of Prometheus. */
    String metrics() throws LockstepException, IOException {
        return client.get("/metrics").body();
    }

    /** What it replicates. */
    Status status() throws LockstepException, IOException {
        return read(answer(client.get("/v1/status")), Status.class);
    }

    /**
     * Runs a verb on a VM to its end.
     *
     * @param body of the request, a JSON object
     * @param result what the verb results in
     */
    <T> T run(String vm, String verb, String body, Progress progress, Class<T> result)
            throws LockstepException, IOException, InterruptedException, DemoFailure {
        JsonNode started = answer(client.post("/v1/vms/" + AgentClient.segment(vm) + "/" + verb, body));
        String path = "/v1/jobs/" + started.path("id").asText();
        Job job = new Job(started);
        Deadline.await("the end of " + verb + " of " + vm, JOB, JOB_POLL_NS, () -> {
            try {
                job.view = answer(client.get(path));
            } catch (LockstepException | IOException e) {
                throw new DemoFailure(verb + " of " + vm + ": " + e.getMessage(), e);
            }
            progress.report(
                    job.view.path("phase").asText(),
                    job.view.path("done").asLong(),
                    job.view.path("total").asLong());
            return !job.view.path("state").asText().equals("running");
        });
        if (!job.view.path("state").asText().equals("done")) {
            JsonNode error = job.view.path("error");
            throw new LockstepException(
                    error.path("code").asText(), error.path("message").asText());
        }
        return read(job.view.path("result"), result);
    }

    private static final class Job {
        private JsonNode view;

        Job(JsonNode view) {
            this.view = view;
        }
    }

    private static JsonNode answer(AgentClient.Response response) throws LockstepException, IOException {
        JsonNode body = JSON.readTree(response.body());
        if (!response.ok()) {
            throw new LockstepException(
                    body.path("code").asText(), body.path("detail").asText());
        }
        return body;
    }

    private static <T> T read(JsonNode body, Class<T> type) throws JsonProcessingException {
        return JSON.treeToValue(body, type);
    }
}
