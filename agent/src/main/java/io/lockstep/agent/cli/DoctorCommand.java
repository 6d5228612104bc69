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
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

/** {@code lockstep doctor}: the agent examines, with its privileges; where none runs, this process does, because that is when it is needed. */
@Command(
        name = "doctor",
        description = "Name what this host lacks to protect VMs, with the cure. Exit status 1: something is missing.")
final class DoctorCommand extends AgentCall {
    @Parameters(
            paramLabel = "VM",
            arity = "0..1",
            description = "By name, e.g. a domain's of libvirt: leave out what is found about other VMs.")
    @Nullable
    String vm;

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
        keepWanted(lines);
        if (json) {
            out().println("{\"findings\":["
                    + String.join(",", lines.stream().map(Line::json).toList()) + "]}");
        } else {
            lines.forEach(line -> out().print(line.text()));
        }
        return lines.stream().anyMatch(line -> line.status.equals("missing")) ? ExitCode.FAILED : ExitCode.OK;
    }

    private void keepWanted(List<Line> lines) throws LockstepException {
        if (vm == null) {
            return;
        }
        lines.removeIf(line -> !line.subject.isEmpty() && !line.subject.equals(vm));
        if (lines.stream().noneMatch(line -> line.subject.equals(vm))) {
            throw new LockstepException(
                    "vm-not-found",
                    "nothing is known about a VM named " + vm
                            + " on this host. `lockstep vms` lists them; without an agent"
                            + " none is examined: systemctl start lockstep-agent.");
        }
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
