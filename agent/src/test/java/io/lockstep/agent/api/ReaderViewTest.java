package io.lockstep.agent.api;

import static org.assertj.core.api.Assertions.assertThat;

import io.lockstep.agent.FakeOperations;
import io.lockstep.agent.events.AgentEvent;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class ReaderViewTest {
    private final FakeOperations operations = new FakeOperations();

    @Test
    void shouldHideTheArgumentsOfTheConfigurationsCommands() throws Exception {
        Map<String, Object> configuration = Map.of(
                "fence", Map.of("command", List.of("/usr/sbin/fence_ipmilan", "-p", "secret")),
                "hardware", Map.of("command", List.of()),
                "vms",
                        Map.of(
                                "web1",
                                Map.of(
                                        "standbyCommand",
                                        List.of("qemu", "secret"),
                                        "standbyReplacements",
                                        Map.of("secret", "secret"),
                                        "tracker",
                                        "auto")));
        String shown = ReaderView.of(Map.of("configuration", configuration), Pseudonyms.NONE);
        assertThat(ApiHandler.MAPPER.readTree(shown)).isEqualTo(ApiHandler.MAPPER.readTree("""
                        {"configuration":{"fence":{"command":["/usr/sbin/fence_ipmilan","hidden"]},"hardware":{"command":[]},
                        "vms":{"web1":{"standbyCommand":["qemu","hidden"],"standbyReplacements":{},"tracker":"auto"}}}}
                        """));
    }

    @Test
    void shouldHideVmsThatAreOnlyConfiguredWhenNamesAreHidden() throws Exception {
        Pseudonyms names = Pseudonyms.of(operations);
        String shown =
                ReaderView.of(Map.of("configuration", Map.of("vms", Map.of("absent1", Map.of("epochMs", 5)))), names);
        assertThat(shown).isEqualTo("{\"configuration\":{\"vms\":{\"" + names.of("absent1") + "\":{\"epochMs\":5}}}}");
    }

    @Test
    void shouldKeepTheFormOfAnAnswerWhateverVmsAreCalled() throws Exception {
        operations.events.publish(AgentEvent.PROTECTION, "1", "protected", "");
        operations.events.publish(AgentEvent.PROTECTION, "vm", "protected", "");
        Pseudonyms names = Pseudonyms.of(operations);
        String shown = ReaderView.of(Map.of("vm", List.of(Map.of("vm", "1", "pid", 1), Map.of("vm", "vm"))), names);
        assertThat(ApiHandler.MAPPER.readTree(shown))
                .isEqualTo(ApiHandler.MAPPER.readTree(
                        "{\"vm\":[{\"vm\":\"" + names.of("1") + "\",\"pid\":1},{\"vm\":\"" + names.of("vm") + "\"}]}"));
    }
}
