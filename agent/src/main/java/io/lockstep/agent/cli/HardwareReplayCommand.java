package io.lockstep.agent.cli;

import com.fasterxml.jackson.databind.ObjectMapper;
import io.lockstep.agent.client.AgentClient.Response;
import io.lockstep.agent.client.JsonTree;
import io.lockstep.agent.config.AgentConfig;
import io.lockstep.agent.policy.Forecast;
import io.lockstep.replication.LockstepException;
import io.lockstep.telemetry.fault.MemoryIdentity;
import io.lockstep.telemetry.health.ComponentHealth;
import io.lockstep.telemetry.health.HealthRules;
import io.lockstep.telemetry.replay.Replay;
import io.lockstep.telemetry.replay.ReplayResult;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code lockstep hardware replay}. Needs no agent, but for a drill. */
@Command(
        name = "replay",
        mixinStandardHelpOptions = true,
        description =
                "Feed recorded events through decoder and health with their own times, and say what the agent would have seen and"
                        + " done. The file holds JSON lines as 'hardware events --json' prints them, raw machine checks as in"
                        + " /sys/fs/pstore, the kernel's log, or mcelog's text; its content tells which.")
final class HardwareReplayCommand implements Callable<Integer> {
    /** What fits the agent's request of 16 KiB in base64, with its name: some hundred events. */
    private static final long DRILL_BYTES_MAX = 11_000;

    @Mixin
    RootOption root = new RootOption();

    @Parameters(paramLabel = "FILE", description = "The recording.")
    @SuppressWarnings("NullAway.Init") // picocli sets it before call()
    Path file;

    @Option(
            names = "--agent",
            description =
                    "A drill: the running agent takes the events as if they happened now, all at once, and acts as configured; but"
                            + " no page and no CPU goes out of use. 'hardware clear' ends it.")
    boolean agent;

    @Option(names = "--json", description = "Print JSON.")
    boolean json;

    @Spec
    @SuppressWarnings("NullAway.Init") // picocli sets it before call()
    CommandSpec spec;

    @Override
    public Integer call() throws LockstepException, IOException, RequestFailedException {
        return agent ? drill() : replay();
    }

    private int drill() throws LockstepException, IOException, RequestFailedException {
        readable();
        long bytes = Files.size(file);
        if (bytes > DRILL_BYTES_MAX) {
            throw new LockstepException(
                    "recording-too-large",
                    file + " has " + bytes + " bytes > " + DRILL_BYTES_MAX + ". Take a part of it for a drill.");
        }
        String recording = Base64.getEncoder().encodeToString(Files.readAllBytes(file));
        Response response = root.client()
                .post(
                        "/v1/hardware/drill",
                        "{\"name\":" + AgentCall.quoted(String.valueOf(file.getFileName())) + ",\"recording\":\""
                                + recording + "\"}");
        if (!response.ok()) {
            throw RequestFailedException.of(response);
        }
        if (!json) {
            passedOver(Replay.run(file, HealthRules.DEFAULT, MemoryIdentity.NONE, step -> {}));
        }
        JsonTree drill = response.json();
        out().println(
                        json
                                ? response.body()
                                : drill.get("events").integer() + " events of "
                                        + drill.get("name").text()
                                        + " were fed to the agent as a drill. 'lockstep hardware' shows what followed,"
                                        + " 'lockstep hardware clear' ends it.");
        return ExitCode.OK;
    }

    private void readable() throws LockstepException {
        if (!Files.isRegularFile(file) || !Files.isReadable(file)) {
            String why = !Files.exists(file)
                    ? "there is no such file"
                    : Files.isReadable(file) ? "it is no regular file" : "this user may not read it";
            throw new LockstepException("recording-unreadable", "cannot read " + file + ": " + why + ".");
        }
    }

    /** What happened, and what would have followed. */
    private record Told(ReplayResult.Step step, List<Forecast.Line> lines) {}

    private int replay() throws LockstepException {
        readable();
        AgentConfig.Hardware settings = AgentConfig.load(root.paths()).hardware();
        Forecast forecast = new Forecast(settings);
        List<Told> told = new ArrayList<>();
        ReplayResult result;
        try {
            result = Replay.run(file, settings.rules(), MemoryIdentity.NONE, step -> {
                List<Forecast.Line> lines = forecast.after(step);
                if (told.size() < Replay.STEPS_MAX || (!lines.isEmpty() && told.size() < 2 * Replay.STEPS_MAX)) {
                    told.add(new Told(step, lines));
                }
            });
        } catch (NoSuchFileException e) {
            throw new LockstepException("recording-unreadable", "cannot read " + file + ": it was removed.", e);
        } catch (IOException e) {
            throw new LockstepException("recording-unreadable", "cannot read " + file + ": " + e + ".", e);
        }
        if (result.eventCount() == 0) {
            throw new LockstepException(
                    "recording-empty",
                    file + " holds no hardware event"
                            + (result.malformed().isEmpty()
                                    ? ""
                                    : ": line " + result.malformed().get(0).line() + ": "
                                            + result.malformed().get(0).cause())
                            + ". It may be JSON lines of 'lockstep hardware events --json', raw machine checks, a kernel log, or"
                            + " mcelog's text.");
        }
        if (json) {
            out().println(asJson(result, told));
        } else {
            print(result, told);
        }
        return ExitCode.OK;
    }

    private void print(ReplayResult result, List<Told> told) {
        out().println("recording: " + result.format().words() + ", " + result.eventCount() + " events"
                + (result.timesSinceBoot() ? ", times since boot" : ""));
        passedOver(result);
        for (Told one : told) {
            out().println(MachinePicture.time(one.step.wallMs()) + "  " + one.step.line());
            one.lines.forEach(line -> out().println("    " + line.action() + " (" + line.mode() + "): " + line.text()));
        }
        if (result.stepCount() > told.size()) {
            out().println("and " + (result.stepCount() - told.size()) + " more steps from which nothing follows");
        }
        out().println("at the worst: " + result.worst().words());
        for (ComponentHealth part : result.health()) {
            out().println("  " + part.state().words() + "  " + part.component().words() + ": " + part.corrected()
                    + " corrected, " + part.uncorrected() + " other errors");
            part.evidence().forEach(evidence -> out().println("      " + evidence));
            if (!part.action().isEmpty()) {
                out().println("      to do: " + part.action());
            }
        }
    }

    private void passedOver(ReplayResult result) {
        for (ReplayResult.Malformed malformed : result.malformed()) {
            out().println("passed over: line " + malformed.line() + ": " + malformed.cause());
        }
        if (result.malformedCount() > result.malformed().size()) {
            out().println("passed over: "
                    + (result.malformedCount() - result.malformed().size()) + " more");
        }
    }

    private static String asJson(ReplayResult result, List<Told> told) throws LockstepException {
        List<Map<String, Object>> steps = new ArrayList<>();
        for (Told one : told) {
            Map<String, Object> step = new LinkedHashMap<>();
            step.put("wallMs", one.step.wallMs());
            step.put(
                    "type",
                    one.step instanceof ReplayResult.Seen
                            ? "event"
                            : one.step instanceof ReplayResult.Changed ? "health" : "page");
            step.put("line", one.step.line());
            if (one.step instanceof ReplayResult.Changed changed) {
                step.put("state", changed.health().state().words());
            }
            step.put(
                    "actions",
                    one.lines.stream()
                            .map(line -> Map.of("action", line.action(), "mode", line.mode(), "text", line.text()))
                            .toList());
            steps.add(step);
        }
        Map<String, Object> all = new LinkedHashMap<>();
        all.put("format", result.format().words());
        all.put("timesSinceBoot", result.timesSinceBoot());
        all.put("events", result.eventCount());
        all.put("worst", result.worst().words());
        all.put("malformedLines", result.malformedCount());
        all.put(
                "malformed",
                result.malformed().stream()
                        .map(m -> Map.of("line", m.line(), "cause", m.cause()))
                        .toList());
        all.put("stepCount", result.stepCount());
        all.put("steps", steps);
        all.put(
                "parts",
                result.health().stream().map(HardwareReplayCommand::part).toList());
        try {
            return new ObjectMapper().writeValueAsString(all);
        } catch (IOException e) {
            throw new LockstepException("internal-error", "the result is no JSON: " + e, e);
        }
    }

    private static Map<String, Object> part(ComponentHealth health) {
        Map<String, Object> part = new LinkedHashMap<>();
        part.put("component", health.component().words());
        part.put("state", health.state().words());
        part.put("corrected", health.corrected());
        part.put("uncorrected", health.uncorrected());
        part.put("evidence", health.evidence());
        part.put("action", health.action());
        return part;
    }

    private PrintWriter out() {
        return spec.commandLine().getOut();
    }
}
