package io.lockstep.agent.api;

import io.lockstep.agent.VmOperations;
import io.lockstep.agent.client.JsonTree;
import io.lockstep.agent.doctor.Doctor;
import io.lockstep.agent.view.ProtectRequest;
import io.lockstep.agent.view.ProtectionStatus;
import io.lockstep.agent.view.ReplicaView;
import io.lockstep.agent.view.VmSelector;
import io.lockstep.agent.view.VmSummary;
import io.lockstep.replication.LockstepException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * The resources under {@code /v1}, without HTTP: from method, path segments and body to a record to render. Any thread.
 *
 * <pre>
 * GET  agent                      GET  vms            GET  vms/VM            GET  vms/VM/journal?limit=N
 * GET  status?vm=NAME             GET  jobs           GET  jobs/ID           GET  doctor
 * POST vms/VM/protect, vms/VM/dry-run {peer, epochMs, tracker, protection, allowUnheldOutput}
 * POST vms/VM/protection {protection}
 * POST vms/VM/unprotect           POST vms/VM/verify  POST vms/VM/switchover POST vms/VM/failover {force}
 * POST vms/VM/discard             POST vms/VM/floor    {samples}
 * GET  hardware                   GET  hardware/events?after=N&amp;limit=N       POST hardware/clear {part}
 * </pre>
 */
final class Routes {
    /** Journal epochs in one answer, unless asked for another number. */
    static final int JOURNAL_LIMIT = 100;

    /** Hardware events in one answer, unless asked for another number. */
    static final int EVENTS_LIMIT = 1000;

    static final int JOURNAL_LIMIT_MAX = 10_000;
    static final int FLOOR_SAMPLES_MAX = 1_000;

    private final VmOperations operations;
    private final Doctor doctor;
    private final Jobs jobs;

    Routes(VmOperations operations, Doctor doctor, Jobs jobs) {
        this.operations = operations;
        this.doctor = doctor;
        this.jobs = jobs;
    }

    /** An answer: 200 with a record, or 202 with a job that runs. */
    record Answer(int status, Object body) {}

    /** Everything that is replicated to or from here. */
    record Status(List<ProtectionStatus> protections, List<ReplicaView> replicas) {}

    Answer get(List<String> path, Map<String, String> query) throws LockstepException {
        String first = path.isEmpty() ? "" : path.get(0);
        if (path.size() == 1) {
            switch (first) {
                case "agent" -> {
                    return ok(operations.agent());
                }
                case "vms" -> {
                    return ok(Map.of("vms", operations.vms()));
                }
                case "status" -> {
                    return ok(status(query.get("vm")));
                }
                case "hardware" -> {
                    return ok(operations.hardware());
                }
                case "jobs" -> {
                    return ok(Map.of("jobs", jobs.all().stream().map(Job::view).toList()));
                }
                case "doctor" -> {
                    return ok(Map.of("findings", doctor.examine()));
                }
                default -> throw noSuchResource(path);
            }
        }
        if (path.size() == 2 && first.equals("jobs")) {
            return ok(jobs.get(path.get(1)).view());
        }
        if (path.equals(List.of("hardware", "events"))) {
            int limit = number("limit", query.getOrDefault("limit", Integer.toString(EVENTS_LIMIT)), JOURNAL_LIMIT_MAX);
            String after = query.getOrDefault("after", "0");
            if (!after.matches("[0-9]{1,18}")) {
                throw new BadRequestException("after " + after + " is not a number of at most 18 digits.");
            }
            return ok(Map.of("events", operations.hardwareEvents(Long.parseLong(after), limit)));
        }
        if (path.size() == 2 && first.equals("vms")) {
            return ok(vm(path.get(1)));
        }
        if (path.size() == 3 && first.equals("vms") && path.get(2).equals("journal")) {
            int limit =
                    number("limit", query.getOrDefault("limit", Integer.toString(JOURNAL_LIMIT)), JOURNAL_LIMIT_MAX);
            return ok(Map.of("vm", path.get(1), "epochs", operations.journal(path.get(1), limit)));
        }
        throw noSuchResource(path);
    }

    Answer post(List<String> path, JsonTree body) throws LockstepException {
        if (path.equals(List.of("hardware", "clear"))) {
            return ok(
                    Map.of("cleared", operations.clearHardware(body.get("part").text())));
        }
        if (path.size() != 3 || !path.get(0).equals("vms")) {
            throw noSuchResource(path);
        }
        String vm = path.get(1);
        String verb = path.get(2);
        Jobs.Verb run =
                switch (verb) {
                    case "dry-run" -> {
                        yield progress -> operations.dryRun(request(vm, body));
                    }
                    case "protect" -> {
                        ProtectRequest request = request(vm, body);
                        yield progress -> operations.protect(request, progress);
                    }
                    case "unprotect" ->
                        progress -> {
                            operations.unprotect(vm, progress);
                            return null;
                        };
                    case "verify" -> progress -> operations.verify(vm, progress);
                    case "protection" -> {
                        String mode = mode(body.get("protection").text());
                        yield progress -> operations.protection(vm, mode, progress);
                    }
                    case "switchover" -> progress -> operations.switchover(vm, progress);
                    case "failover" -> {
                        boolean force = body.get("force").bool();
                        yield progress -> operations.failover(vm, force, progress);
                    }
                    case "discard" ->
                        progress -> {
                            operations.discard(vm);
                            return null;
                        };
                    case "floor" -> {
                        int samples = number(
                                "samples",
                                body.get("samples").present()
                                        ? body.get("samples").text()
                                        : "100",
                                FLOOR_SAMPLES_MAX);
                        yield progress -> operations.measureFloor(VmSelector.parse(vm), samples, progress);
                    }
                    default -> throw noSuchResource(path);
                };
        return new Answer(
                202, jobs.start(verb, VmSelector.parse(vm).value(), run).view());
    }

    /** @param vm only that one, by its name or its pid; null: all */
    private Status status(@Nullable String vm) throws LockstepException {
        if (vm == null) {
            return new Status(operations.protections(), operations.replicas());
        }
        Status status = new Status(
                operations.protections().stream()
                        .filter(p -> p.vm().equals(vm) || Long.toString(p.pid()).equals(vm))
                        .toList(),
                operations.replicas().stream().filter(r -> r.vm().equals(vm)).toList());
        if (status.protections().isEmpty() && status.replicas().isEmpty()) {
            throw new LockstepException(
                    "not-replicated",
                    "no VM " + vm + " is replicated to or from this host. 'lockstep status' lists those that are.");
        }
        return status;
    }

    private Map<String, Object> vm(String name) throws LockstepException {
        VmSelector selector = VmSelector.parse(name);
        VmSummary summary = operations.vms().stream()
                .filter(vm -> switch (selector.kind()) {
                    case PID -> Long.toString(vm.pid()).equals(selector.value());
                    case NAME -> vm.name().equals(selector.value());
                    case QMP -> Objects.equals(vm.qmpPath(), selector.value());
                })
                .findFirst()
                .orElseThrow(() -> new LockstepException(
                        "no-such-vm", "no VM with " + selector + " runs here. 'lockstep vms' lists those that do."));
        Map<String, Object> result = new LinkedHashMap<>();
        result.put("summary", summary);
        operations.protections().stream()
                .filter(protection -> protection.vm().equals(summary.name()))
                .findFirst()
                .ifPresent(protection -> result.put("protection", protection));
        operations.replicas().stream()
                .filter(replica -> replica.vm().equals(summary.name()))
                .findFirst()
                .ifPresent(replica -> result.put("replica", replica));
        return result;
    }

    private static ProtectRequest request(String vm, JsonTree body) throws LockstepException {
        String epochMs = body.get("epochMs").text();
        return new ProtectRequest(
                VmSelector.parse(vm),
                body.get("peer").present() ? body.get("peer").text() : null,
                epochMs.isEmpty() ? 0 : number("epochMs", epochMs, 10_000),
                body.get("tracker").present() ? body.get("tracker").text() : null,
                body.get("protection").present() ? mode(body.get("protection").text()) : null,
                body.get("allowUnheldOutput").bool());
    }

    private static String mode(String text) throws LockstepException {
        if (!text.equals("lockstep") && !text.equals("async")) {
            throw new BadRequestException("protection \"" + text + "\" is none of lockstep, async.");
        }
        return text;
    }

    private static int number(String name, String text, int max) throws LockstepException {
        int value = text.matches("[0-9]{1,9}") ? Integer.parseInt(text) : -1;
        if (value < 1 || value > max) {
            throw new BadRequestException(name + " " + text + " is not a number in 1.." + max + ".");
        }
        return value;
    }

    private static LockstepException noSuchResource(List<String> path) {
        return new LockstepException(
                "no-such-resource", "there is no /v1/" + String.join("/", path) + " for this method.");
    }

    private static Answer ok(Object body) {
        return new Answer(200, body);
    }
}
