package io.lockstep.agent.api;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import io.lockstep.agent.FakeOperations;
import io.lockstep.agent.client.AgentClient;
import io.lockstep.agent.client.AgentClient.Response;
import io.lockstep.agent.doctor.Finding;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

@Timeout(60)
@SuppressWarnings("try") // a server that is there to be asked
class OpenApiTest {
    private static final ObjectMapper MAPPER = new ObjectMapper().enable(SerializationFeature.INDENT_OUTPUT);

    @TempDir
    Path root;

    @Test
    void shouldStandInTheTreeAsTheCodeHasIt() throws Exception {
        JsonNode generated = OpenApi.document();
        String file = System.getProperty("lockstep.openapi.write");
        if (file != null) {
            Files.writeString(Path.of(file), MAPPER.writeValueAsString(generated) + "\n");
        }

        assertThat(MAPPER.readTree(OpenApiDocument.text()))
                .as("run this test with -Dlockstep.openapi.write=agent/src/main/resources/openapi.json")
                .isEqualTo(MAPPER.readTree(MAPPER.writeValueAsString(generated)));
    }

    @Test
    void shouldStatePrerequisitesOfEachOperation() throws Exception {
        for (JsonNode path : MAPPER.readTree(OpenApiDocument.text()).get("paths")) {
            for (JsonNode operation : path) {
                assertThat(operation.get("description").asText())
                        .startsWith("Prerequisites: ")
                        .endsWith(".");
            }
        }
    }

    @ParameterizedTest
    @EnumSource(value = Endpoint.class, mode = EnumSource.Mode.EXCLUDE, names = "EVENTS")
    void shouldAnswerAsDescribed(Endpoint endpoint) throws Exception {
        FakeOperations operations = new FakeOperations();
        Path socket = root.resolve("agent.sock");
        try (ApiServer server = ApiServer.start(
                operations, () -> List.of(new Finding("kvm", "", Finding.Status.WARNING, "none", "get one")), socket)) {
            AgentClient client = new AgentClient(socket);
            client.post("/v1/vms/web1/verify", "{}");
            String template = "/v1/" + String.join("/", endpoint.template);
            String path = template.replace("VM", "web1").replace("ID", "1");
            JsonNode document = MAPPER.readTree(client.get("/v1/openapi.json").body());
            String vm = endpoint.verb() ? "other" : "web1";
            Response response = endpoint.method.equals("GET")
                    ? client.get(path)
                    : client.post(
                            path.replace("web1", vm),
                            Inputs.fields(endpoint).containsKey("protection") ? "{\"protection\":\"async\"}" : "{}");

            assertThat(response.ok()).as(response.body()).isTrue();
            JsonNode content = document.get("paths")
                    .get(template.replace("VM", "{vm}").replace("ID", "{id}"))
                    .get(endpoint.method.toLowerCase(Locale.ROOT))
                    .get("responses")
                    .get(Integer.toString(response.status()))
                    .get("content");
            if (content.has("application/json")) {
                JsonNode schema = content.get("application/json").get("schema");
                assertThat(SchemaCheck.complaints(document, schema, MAPPER.readTree(response.body())))
                        .isEmpty();
            }
            JsonNode problem = MAPPER.readTree(client.get("/v1/jobs/99").body());
            assertThat(SchemaCheck.complaints(document, document.at("/components/schemas/Problem"), problem))
                    .isEmpty();
        }
    }
}
