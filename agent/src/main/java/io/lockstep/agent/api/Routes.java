package io.lockstep.agent.api;

import io.lockstep.agent.VmOperations;
import io.lockstep.agent.client.JsonTree;
import io.lockstep.agent.doctor.Doctor;
import io.lockstep.agent.doctor.Finding;
import io.lockstep.agent.view.HardwareEventView;
import io.lockstep.agent.view.HardwareSummary;
import io.lockstep.agent.view.JobView;
import io.lockstep.agent.view.PeerView;
import io.lockstep.agent.view.ProtectRequest;
import io.lockstep.agent.view.ProtectionStatus;
import io.lockstep.agent.view.ReplicaView;
import io.lockstep.agent.view.VmSelector;
import io.lockstep.agent.view.VmSummary;
import io.lockstep.replication.LockstepException;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** The resources under {@code /v1}, without HTTP: from an {@link Endpoint}, path segments and body to a record to render. Any thread. */
final class Routes {
    /** Journal epochs in one answer, unless asked for another number. */
    static final int JOURNAL_LIMIT = 100;

    static final int FLOOR_SAMPLES_MAX = 1_000;

    /** How old the capabilities of {@code /v1/host} may be; {@code /v1/doctor} looks anew. */
    private static final long EXAMINED_NS = 10_000_000_000L;

    private final VmOperations operations;
    private final Doctor doctor;
    private final Jobs jobs;
    private List<Finding> examined = List.of();
    private long examinedNs;

    Routes(VmOperations operations, Doctor doctor, Jobs jobs) {
        this.operations = operations;
        this.doctor = doctor;
        this.jobs = jobs;
    }

    /**
     * An answer: 200 with a record, or 202 with a job that runs.
     *
     * @param tag version of what was read; null if it has none
     */
    record Answer(int status, Object body, @Nullable String tag) {}

    /** Everything that is replicated to or from here. */
    record Status(List<ProtectionStatus> protections, List<ReplicaView> replicas, HardwareSummary hardware) {}

    /** What a verb's request says besides its path. */
    record Wish(
            JsonTree body,
            String text,
            @Nullable String ifMatch,
            @Nullable String idempotencyKey) {}

    Answer get(Endpoint endpoint, List<String> path, Map<String, String> query) throws LockstepException {
        Inputs.checkQuery(endpoint, query);
        return switch (endpoint) {
            case AGENT -> ok(operations.agent());
            case HOST -> ok(host());
            case VMS ->
                ok(Paging.of(query, Paging.LIMIT)
                        .page("vms", sortedVms(), Routes::key, (v, k) -> key(v).compareTo(k) > 0));
            case VM -> vm(path.get(1));
            case STATUS -> ok(status(query.get("vm")));
            case HARDWARE -> ok(operations.hardware());
            case HARDWARE_EVENTS -> ok(hardwareEvents(query));
            case PEERS ->
                ok(Paging.of(query, Paging.LIMIT)
                        .page(
                                "peers",
                                operations.peers(),
                                PeerView::name,
                                (peer, name) -> peer.name().compareTo(name) > 0));
            case JOBS ->
                ok(Paging.ofNumbers(query, Paging.LIMIT)
                        .page(
                                "jobs",
                                jobs.all().stream().map(Job::view).toList(),
                                JobView::id,
                                (job, id) -> Long.parseLong(job.id()) > Long.parseLong(id)));
            case JOB -> ok(jobs.get(path.get(1)).view());
            case DOCTOR -> ok(Map.of("findings", doctor.examine()));
            case JOURNAL -> ok(journal(path.get(1), query));
            default -> throw new IllegalStateException(endpoint + " has no view");
        };
    }

    private static String key(VmSummary vm) {
        return vm.role() + "/" + vm.name() + "/" + vm.pid();
    }

    private List<VmSummary> sortedVms() throws LockstepException {
        return operations.vms().stream()
                .sorted(Comparator.comparing(Routes::key))
                .toList();
    }

    private Map<String, Object> host() {
        Map<String, Object> host = new LinkedHashMap<>();
        host.put("host", operations.host());
        host.put("capabilities", capabilities());
        return host;
    }

    /** Examining a host reads hundreds of the kernel's files. */
    private synchronized List<Finding> capabilities() {
        long nowNs = System.nanoTime();
        if (examined.isEmpty() || nowNs - examinedNs >= EXAMINED_NS) {
            examined = doctor.examine();
            examinedNs = nowNs;
        }
        return examined;
    }

    private Map<String, Object> hardwareEvents(Map<String, String> query) throws LockstepException {
        Paging paging = Paging.ofNumbers(query, Paging.LIMIT);
        // A client that pages adds the cursor to what it asked first.
        String after = paging.cursor() == null ? query.getOrDefault("after", "0") : paging.cursor();
        if (!after.matches("[0-9]{1,18}")) {
            throw new BadRequestException("after " + after + " is not a number of at most 18 digits.");
        }
        List<HardwareEventView> events = operations.hardwareEvents(Long.parseLong(after), Paging.LIMIT_MAX);
        // Without a place to go on from, the newest are what is wanted.
        boolean newest = !query.containsKey("after") && !query.containsKey("cursor");
        List<HardwareEventView> wanted =
                newest ? events.subList(Math.max(0, events.size() - paging.limit()), events.size()) : events;
        return new Paging(null, paging.limit())
                .page("events", wanted, event -> Long.toString(event.sequence()), (event, key) -> true);
    }

    private Map<String, Object> journal(String vm, Map<String, String> query) throws LockstepException {
        Paging paging = Paging.ofNumbers(query, JOURNAL_LIMIT);
        int wanted = paging.cursor() == null ? Math.min(Paging.LIMIT_MAX, paging.limit() + 1) : Paging.LIMIT_MAX;
        Map<String, Object> answer = new LinkedHashMap<>();
        answer.put("vm", vm);
        answer.putAll(paging.page(
                "epochs",
                operations.journal(vm, wanted),
                epoch -> Long.toString(epoch.epoch()),
                (epoch, key) -> epoch.epoch() < Long.parseLong(key)));
        return answer;
    }

    Answer post(Endpoint endpoint, List<String> path, Wish wish) throws LockstepException {
        JsonTree body = wish.body;
        Inputs.checkBody(endpoint, body);
        if (!endpoint.verb() && (wish.ifMatch != null || wish.idempotencyKey != null)) {
            throw new BadRequestException(
                    (wish.ifMatch != null ? "If-Match" : "Idempotency-Key") + " is for verbs of VMs alone.");
        }
        if (endpoint == Endpoint.HARDWARE_CLEAR) {
            return ok(
                    Map.of("cleared", operations.clearHardware(body.get("part").text())));
        }
        if (endpoint == Endpoint.HARDWARE_DRILL) {
            return ok(operations.hardwareDrill(body.get("name").text(), recording(body)));
        }
        String vm = path.get(1);
        Jobs.Verb run = verb(endpoint, vm, body);
        String verb = path.get(2);
        String request = VmSelector.parse(vm).text() + " " + wish.text;
        // First: what the key began may have removed the VM.
        if (wish.idempotencyKey != null) {
            Job earlier = jobs.known(wish.idempotencyKey, verb, request);
            if (earlier != null) {
                return new Answer(202, earlier.view(), null);
            }
        }
        String name = operations.vmName(subject(endpoint), vm);
        if (wish.ifMatch != null) {
            EntityTag.check(wish.ifMatch, String.valueOf(vm(vm).tag()), name);
        }
        return new Answer(
                202, jobs.start(verb, name, run, wish.idempotencyKey, request).view(), null);
    }

    private static VmOperations.Subject subject(Endpoint endpoint) {
        return switch (endpoint) {
            case PROTECT, DRY_RUN, FLOOR -> VmOperations.Subject.QEMU;
            case FAILOVER, DRILL, DISCARD -> VmOperations.Subject.REPLICA;
            default -> VmOperations.Subject.PROTECTION;
        };
    }

    private static byte[] recording(JsonTree body) throws BadRequestException {
        try {
            return Base64.getDecoder().decode(body.get("recording").text());
        } catch (IllegalArgumentException e) {
            throw new BadRequestException("recording is not base64: " + e.getMessage() + ".");
        }
    }

    private Jobs.Verb verb(Endpoint endpoint, String vm, JsonTree body) throws LockstepException {
        switch (endpoint) {
            case DRY_RUN -> {
                ProtectRequest request = request(vm, body);
                return progress -> operations.dryRun(request);
            }
            case PROTECT -> {
                ProtectRequest request = request(vm, body);
                return progress -> operations.protect(request, progress);
            }
            case UNPROTECT -> {
                return progress -> {
                    operations.unprotect(vm, progress);
                    return null;
                };
            }
            case VERIFY -> {
                return progress -> operations.verify(vm, progress);
            }
            case SWITCHOVER -> {
                return progress -> operations.switchover(vm, progress);
            }
            case FAILOVER -> {
                boolean force = body.get("force").bool();
                return progress -> operations.failover(vm, force, progress);
            }
            case DRILL -> {
                return progress -> operations.drill(vm, progress);
            }
            case PROTECTION -> {
                String mode = mode(body.get("protection").text());
                return progress -> operations.protection(vm, mode, progress);
            }
            case DISCARD -> {
                return progress -> {
                    operations.discard(vm);
                    return null;
                };
            }
            case FLOOR -> {
                String text =
                        body.get("samples").present() ? body.get("samples").text() : "100";
                int samples = number("samples", text, FLOOR_SAMPLES_MAX);
                return progress -> operations.measureFloor(VmSelector.parse(vm), samples, progress);
            }
            default -> throw new IllegalStateException(endpoint + " is no verb");
        }
    }

    /** @param vm only that one, by its name or its pid; null: all */
    private Status status(@Nullable String vm) throws LockstepException {
        if (vm == null) {
            return new Status(operations.protections(), operations.replicas(), operations.hardwareSummary());
        }
        Status status = new Status(
                operations.protections().stream()
                        .filter(p -> p.vm().equals(vm) || Long.toString(p.pid()).equals(vm))
                        .toList(),
                operations.replicas().stream().filter(r -> r.vm().equals(vm)).toList(),
                hardware(vm));
        if (status.protections().isEmpty() && status.replicas().isEmpty()) {
            throw new LockstepException(
                    "not-replicated",
                    "no VM " + vm + " is replicated to or from this host. 'lockstep status' lists those that are.");
        }
        return status;
    }

    /** With what was done to one VM alone. */
    private HardwareSummary hardware(String vm) {
        HardwareSummary all = operations.hardwareSummary();
        return new HardwareSummary(
                all.state(),
                all.drill(),
                all.parts(),
                all.actions().stream().filter(a -> a.subject().equals(vm)).toList());
    }

    private Answer vm(String name) throws LockstepException {
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
        List<Object> version = new ArrayList<>(List.of(summary.name(), summary.pid(), summary.role()));
        operations.protections().stream()
                .filter(protection -> protection.vm().equals(summary.name()))
                .findFirst()
                .ifPresent(protection -> {
                    result.put("protection", protection);
                    version.add(protection.state());
                });
        operations.replicas().stream()
                .filter(replica -> replica.vm().equals(summary.name()))
                .findFirst()
                .ifPresent(replica -> {
                    result.put("replica", replica);
                    version.add(replica.state());
                });
        return new Answer(200, result, EntityTag.of(version.toArray()));
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

    static int number(String name, String text, int max) throws LockstepException {
        int value = text.matches("[0-9]{1,9}") ? Integer.parseInt(text) : -1;
        if (value < 1 || value > max) {
            throw new BadRequestException(name + " " + text + " is not a number in 1.." + max + ".");
        }
        return value;
    }

    static LockstepException noSuchResource(List<String> path) {
        return new LockstepException(
                "no-such-resource",
                "there is no /v1/" + String.join("/", path) + "; /v1/openapi.json has what there is.");
    }

    private static Answer ok(Object body) {
        return new Answer(200, body, null);
    }
}
