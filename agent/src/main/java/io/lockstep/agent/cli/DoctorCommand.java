package io.lockstep.agent.cli;

import io.lockstep.agent.client.AgentClient;
import io.lockstep.agent.client.AgentClient.Response;
import io.lockstep.agent.client.AgentNotRunningException;
import io.lockstep.agent.client.JsonTree;
import io.lockstep.agent.doctor.Finding;
import io.lockstep.agent.doctor.HostDoctor;
import io.lockstep.replication.LockstepException;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import picocli.CommandLine.Command;

/** {@code lockstep doctor}: the agent examines, with its privileges; where none runs, this process does, because that is when it is needed. */
@Command(
        name = "doctor",
        description = "Name what this host lacks to protect VMs, with the cure. Exit status 1: something is missing.")
final class DoctorCommand extends AgentCall {
    @Override
    int ask(AgentClient client) throws LockstepException, IOException, RequestFailedException {
        List<Line> lines = new ArrayList<>();
        try {
            Response response = get(client, "/v1/doctor");
            for (JsonTree finding : response.json().get("findings").elements()) {
                lines.add(new Line(
                        finding.get("status").text(),
                        finding.get("check").text(),
                        finding.get("subject").text(),
                        finding.get("detail").text(),
                        finding.get("cure").text()));
            }
        } catch (AgentNotRunningException e) {
            for (Finding finding : HostDoctor.withoutAgent(root.paths()).examine()) {
                lines.add(new Line(
                        finding.status().name().toLowerCase(Locale.ROOT),
                        finding.check(),
                        finding.subject(),
                        finding.detail(),
                        finding.cure()));
            }
        }
        if (json) {
            out().println("{\"findings\":["
                    + String.join(",", lines.stream().map(Line::json).toList()) + "]}");
        } else {
            lines.forEach(line -> out().print(line.text()));
        }
        return lines.stream().anyMatch(line -> line.status.equals("missing")) ? ExitCode.FAILED : ExitCode.OK;
    }

    private record Line(String status, String check, String subject, String detail, String cure) {
        String text() {
            String name = subject.isEmpty() ? check : check + " of " + subject;
            return String.format(Locale.ROOT, "%-8s %s: %s%n", status, name, detail)
                    + (cure.isEmpty() ? "" : String.format(Locale.ROOT, "%-8s cure: %s%n", "", cure));
        }

        String json() {
            return "{\"check\":" + quoted(check) + ",\"subject\":" + quoted(subject) + ",\"status\":" + quoted(status)
                    + ",\"detail\":" + quoted(detail) + ",\"cure\":" + quoted(cure) + "}";
        }
    }
}
