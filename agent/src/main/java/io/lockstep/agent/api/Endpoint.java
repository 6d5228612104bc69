package io.lockstep.agent.api;

import java.util.List;
import org.jspecify.annotations.Nullable;

/** Every resource and verb of the API: nothing else is routed, and the OpenAPI document has all of them. {@code VM}, {@code ID}: any segment. */
// The list is a List.of.
@SuppressWarnings("ImmutableEnumChecker")
enum Endpoint {
    AGENT("GET", "agent", "This agent: version, configuration in force, uptime."),
    HOST("GET", "host", "This host: what it is, what it can do (as found at most 10 s ago), how its hardware fares."),
    VMS("GET", "vms", "Every QEMU found here, and every replica held here."),
    VM(
            "GET",
            "vms/VM",
            "One VM. Its ETag changes with its state: a verb's If-Match may name it.",
            "The VM runs here, or a replica is here."),
    STATUS("GET", "status", "Everything that is replicated to or from here."),
    JOURNAL(
            "GET",
            "vms/VM/journal",
            "The epochs in a replica's journal, newest first.",
            "A replica of the VM is held here."),
    HARDWARE("GET", "hardware", "How this host's hardware fares."),
    HARDWARE_EVENTS("GET", "hardware/events", "What happened to this host's hardware, oldest first."),
    PEERS("GET", "peers", "The peers of the configuration."),
    JOBS("GET", "jobs", "The verbs that run, and the last that ended."),
    JOB(
            "GET",
            "jobs/ID",
            "One run of a verb.",
            "The agent has not restarted since, and 256 later jobs have not ended."),
    METRICS_TEXT("GET", "metrics", "Metrics, as text for Prometheus; also at /metrics."),
    DOCTOR("GET", "doctor", "What this host lacks to protect VMs, with the cure."),
    EVENTS("GET", "events", "What changes, as server-sent events; Last-Event-ID resumes."),
    OPENAPI("GET", "openapi.json", "This document."),
    PROTECT(
            "POST",
            "vms/VM/protect",
            "Protect a VM.",
            "The VM runs here unprotected, has a QMP monitor nobody else uses, and a peer answers."),
    DRY_RUN(
            "POST",
            "vms/VM/dry-run",
            "Say what protect would do, with all its checks.",
            "The VM runs here unprotected."),
    UNPROTECT("POST", "vms/VM/unprotect", "End protection, remove the replica.", "The VM is protected by this host."),
    VERIFY(
            "POST",
            "vms/VM/verify",
            "Compare every page with the replica, at one stop.",
            "The VM is protected by this host."),
    SWITCHOVER(
            "POST",
            "vms/VM/switchover",
            "Move the VM to its peer.",
            "The VM is protected, and the peer has a standby ready."),
    FAILOVER(
            "POST",
            "vms/VM/failover",
            "Promote the replica.",
            "A replica with a committed epoch is held here; without force: a fence command is configured and succeeds."),
    DRILL(
            "POST",
            "vms/VM/drill",
            "Prove that the replica could become the VM: resume a second standby from it, and throw that away.",
            "A replica with a committed epoch is held here, its VM is not paused, and there is memory for a second copy."),
    PROTECTION(
            "POST",
            "vms/VM/protection",
            "Change whether output waits for the peer.",
            "The VM is protected by this host."),
    DISCARD(
            "POST",
            "vms/VM/discard",
            "Remove a replica that nobody wants any more.",
            "Its primary is not connected, the VM does not run here."),
    FLOOR("POST", "vms/VM/floor", "Measure the least pause of a VM.", "The VM runs here unprotected."),
    HARDWARE_CLEAR("POST", "hardware/clear", "Forget what happened to parts that were replaced."),
    HARDWARE_DRILL("POST", "hardware/drill", "Feed recorded hardware events as if they happened now.");

    final String method;
    final List<String> template;
    final String summary;
    final String prerequisites;

    Endpoint(String method, String template, String summary) {
        this(method, template, summary, "The agent runs.");
    }

    private static final List<Endpoint> ALL = List.of(values());

    Endpoint(String method, String template, String summary, String prerequisites) {
        this.method = method;
        this.template = List.of(template.split("/"));
        this.summary = summary;
        this.prerequisites = prerequisites;
    }

    /** Which one a request means; null if none. */
    static @Nullable Endpoint of(String method, List<String> path) {
        for (Endpoint endpoint : ALL) {
            if (endpoint.method.equals(method) && endpoint.matches(path)) {
                return endpoint;
            }
        }
        return null;
    }

    /** Whether it is a verb of a VM, that runs as a job. */
    boolean verb() {
        return method.equals("POST") && template.get(0).equals("vms");
    }

    private boolean matches(List<String> path) {
        boolean matches = path.size() == template.size();
        for (int i = 0; matches && i < path.size(); i++) {
            String part = template.get(i);
            matches = part.equals("VM") || part.equals("ID") || part.equals(path.get(i));
        }
        return matches;
    }
}
