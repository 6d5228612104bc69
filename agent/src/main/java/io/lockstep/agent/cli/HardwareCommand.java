package io.lockstep.agent.cli;

import io.lockstep.agent.client.AgentClient;
import io.lockstep.agent.client.AgentClient.Response;
import io.lockstep.agent.client.JsonTree;
import io.lockstep.replication.LockstepException;
import java.io.IOException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import picocli.CommandLine.Command;

/** {@code lockstep hardware}: how the hardware of this host fares. */
@Command(
        name = "hardware",
        description = "Show how the hardware of this host fares: its parts, the evidence, the sources of events.",
        subcommands = {HardwareEventsCommand.class, HardwareClearCommand.class, HardwareDecodeCommand.class})
final class HardwareCommand extends AgentCall {
    @Override
    int ask(AgentClient client) throws LockstepException, IOException, RequestFailedException {
        Response response = get(client, "/v1/hardware");
        if (json) {
            out().println(response.body());
        } else {
            out().print(text(response.json(), Terminal.attached()));
        }
        return ExitCode.OK;
    }

    /** The picture; with colours for a terminal. */
    static String text(JsonTree hardware, boolean colours) {
        StringBuilder text = new StringBuilder();
        String state = hardware.get("state").text();
        text.append("this host: ").append(coloured(state, colours)).append('\n');
        List<String> shown = new ArrayList<>();
        for (JsonTree part : hardware.get("parts").elements()) {
            shown.add(part.get("component").text());
            text.append("  ")
                    .append(coloured(part.get("state").text(), colours))
                    .append("  ");
            text.append(part.get("component").text()).append(": ");
            text.append(part.get("corrected").integer()).append(" corrected, ");
            text.append(part.get("uncorrected").integer()).append(" other errors\n");
            for (JsonTree evidence : part.get("evidence").elements()) {
                text.append("      ").append(evidence.text()).append('\n');
            }
            if (!part.get("action").text().isEmpty()) {
                text.append("      to do: ").append(part.get("action").text()).append('\n');
            }
        }
        for (JsonTree module : hardware.get("modules").elements()) {
            if (!shown.contains(module.text())) {
                text.append("  ")
                        .append(coloured("healthy", colours))
                        .append("  ")
                        .append(module.text())
                        .append('\n');
            }
        }
        text.append("switchover when hardware fails: ")
                .append(hardware.get("switchover").text())
                .append('\n');
        for (JsonTree action : hardware.get("actions").elements()) {
            text.append("  ").append(time(action.get("wallMs").integer())).append("  ");
            text.append(action.get("text").text()).append('\n');
        }
        text.append("sources:\n");
        List<List<String>> rows = new ArrayList<>();
        for (JsonTree source : hardware.get("sources").elements()) {
            String cure = source.get("cure").text();
            rows.add(List.of(
                    "  " + source.get("name").text(),
                    source.get("status").text(),
                    source.get("events").text() + " events",
                    source.get("lost").integer() == 0 ? "" : source.get("lost").text() + " lost",
                    source.get("detail").text() + (cure.isEmpty() ? "" : ". Cure: " + cure)));
        }
        return rows.isEmpty() ? text.toString() : text.append(Text.table(rows)).toString();
    }

    static String time(long wallMs) {
        return Instant.ofEpochMilli(wallMs).toString();
    }

    private static String coloured(String state, boolean colours) {
        String padded = String.format("%-9s", state);
        int colour =
                switch (state) {
                    case "healthy" -> 32;
                    case "watch" -> 36;
                    case "degrading" -> 33;
                    default -> 31;
                };
        return colours ? "\u001b[" + colour + "m" + padded + "\u001b[0m" : padded.stripTrailing();
    }
}
