package io.lockstep.agent.policy;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.lockstep.agent.config.AgentConfig;
import io.lockstep.replication.hypervisor.QemuProcess;
import io.lockstep.telemetry.event.Component;
import io.lockstep.telemetry.event.EventKind;
import io.lockstep.telemetry.event.HardwareEvent;
import io.lockstep.telemetry.event.Severity;
import io.lockstep.telemetry.health.ComponentHealth;
import io.lockstep.telemetry.health.HealthListener;
import io.lockstep.telemetry.health.HealthState;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Supplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Acts on how the hardware fares, as configured: VMs move to their peers, pages and processors go out of use, a command runs. What the threads that
 * watch the hardware tell is only queued: none of them waits for an action, and VMs move on a thread of their own.
 *
 * <pre>
 *   reader threads ─┬─ changed ─┬► hardware-health ──► {@link HostHealth} ──► heartbeats
 *                   │           └► {@link Evacuation}: hardware-switchover
 *                   └─ noticed ──► hardware-policy: {@link PageOffline}, {@link CpuOffline}
 *                                        └── {@link EventCommand}: hardware-command
 * </pre>
 */
public final class HardwarePolicy implements HealthListener, AutoCloseable {
    /** What an event of a drill says of itself at the end of its phrase: it moves VMs, but takes nothing of the machine out of use. */
    public static final String DRILL = ", a drill";

    private static final Logger LOG = LoggerFactory.getLogger(HardwarePolicy.class);

    /** Events that wait for their actions; each part's worst is told by its state, too. */
    private static final int WAITING_MAX = 1024;

    private static final int JSON_CHARS_MAX = 48 << 10;
    private static final ObjectMapper JSON = new ObjectMapper();

    private final AgentConfig.Hardware settings;
    private final HostHealth health;
    private final Supplier<List<ComponentHealth>> parts;
    private final Evacuation evacuation;
    private final PageOffline pages;
    private final CpuOffline cpus;
    private final EventCommand command;
    private final AtomicBoolean changed = new AtomicBoolean();
    private final AtomicLong dropped = new AtomicLong();
    private final ThreadPoolExecutor thread = new ThreadPoolExecutor(
            1,
            1,
            0,
            TimeUnit.SECONDS,
            new ArrayBlockingQueue<>(WAITING_MAX),
            work -> daemon(work, "hardware-policy"),
            (work, executor) -> dropped.incrementAndGet());
    private final ExecutorService looker = Executors.newSingleThreadExecutor(work -> daemon(work, "hardware-health"));

    /**
     * Begins to look after the host.
     *
     * @param sysfs of {@code /sys}
     * @param health is kept up to date
     * @param parts every part to which something happened, worst first
     * @param vms those that run here and are protected now
     * @param qemus those of this host
     */
    public HardwarePolicy(
            AgentConfig config,
            Path sysfs,
            HostHealth health,
            ActionLog log,
            Supplier<List<ComponentHealth>> parts,
            Supplier<? extends List<? extends MovableVm>> vms,
            Supplier<List<QemuProcess>> qemus) {
        this.settings = config.hardware();
        this.health = health;
        this.parts = parts;
        pages = new PageOffline(sysfs, new PageOwners(qemus), log);
        cpus = new CpuOffline(sysfs, qemus, log);
        command = new EventCommand(settings.command(), settings.commandTimeoutMs(), log);
        evacuation = new Evacuation(config, health, log, vms, this::update, () -> thread.execute(pages::retry));
        looker.execute(() -> Evacuation.rehearse(config));
    }

    /** The parts are known, or some were forgotten: they are looked at anew. Returns at once. */
    public void refresh() {
        if (!looker.isShutdown() && changed.compareAndSet(false, true)) {
            looker.execute(this::look);
            evacuation.wake();
        }
    }

    /** On two threads: what peers are told must not wait for a VM that moves. */
    private void update() {
        synchronized (health) {
            health.update(parts.get());
        }
    }

    /** Parts were replaced: what happens to a page or a CPU from now on counts again. */
    public void cleared() {
        thread.execute(pages::forget);
        thread.execute(cpus::forget);
        refresh();
    }

    private void look() {
        // First: a change from now on asks for another look.
        changed.set(false);
        try {
            update();
            // What changed since it was woken.
            evacuation.wake();
        } catch (RuntimeException e) {
            LOG.error("how the hardware fares cannot be told", e);
        }
    }

    @Override
    public void changed(ComponentHealth part, HealthState before) {
        refresh();
    }

    @Override
    public void noticed(HardwareEvent event, ComponentHealth part, HealthState before, boolean pageWorn) {
        thread.execute(() -> act(event, part, before, pageWorn));
    }

    private void act(HardwareEvent event, ComponentHealth part, HealthState before, boolean pageWorn) {
        try {
            long lost = dropped.getAndSet(0);
            if (lost > 0) {
                LOG.warn("{} hardware events came too fast for actions of their own", lost);
            }
            boolean worse = part.state().compareTo(before) > 0;
            if (event.immediate() || worse) {
                command.run(
                        part.component().words(), json(event, part, before), settings.runCommand(), Reason.of(part));
            }
            takeOutOfUse(event, part, pageWorn);
        } catch (RuntimeException e) {
            LOG.error("an action failed: {}", event.line(), e);
        }
    }

    private void takeOutOfUse(HardwareEvent event, ComponentHealth part, boolean pageWorn) {
        boolean drill = event.what().endsWith(DRILL);
        boolean lost = losesPage(event);
        if ((pageWorn || lost) && event.address() != HardwareEvent.NO_ADDRESS) {
            pages.take(event.address(), lost, mode(settings.offlinePages(), drill), event.line());
        }
        boolean failing = part.state().compareTo(HealthState.DEGRADING) >= 0;
        if (failing && part.component() instanceof Component.Cpu cpu && cpu.cpu() != Component.UNKNOWN) {
            cpus.take(cpu.cpu(), mode(settings.offlineCpus(), drill), Reason.of(part));
        }
    }

    /** Whether a page's data is lost, and the kernel does not say that it has taken the page out of use. */
    static boolean losesPage(HardwareEvent event) {
        boolean taken = event.kind() == EventKind.PAGE_FAILED && event.severity() == Severity.ACTION_OPTIONAL;
        return event.severity().uncorrected() && event.kind().memory() && !taken;
    }

    /** A drill must not cost the machine a page or a CPU. */
    private static String mode(String configured, boolean drill) {
        return drill && configured.equals("on") ? "dry-run" : configured;
    }

    /** What the command gets, on one line. */
    static String json(HardwareEvent event, ComponentHealth part, HealthState before) {
        Map<String, Object> json = new LinkedHashMap<>();
        json.put("wallMs", event.wallMs());
        json.put("kind", lower(event.kind()));
        json.put("severity", lower(event.severity()));
        json.put("component", event.component().words());
        if (event.address() != HardwareEvent.NO_ADDRESS) {
            json.put("address", "0x" + Long.toHexString(event.address()));
        }
        json.put("count", event.count());
        json.put("source", event.source());
        json.put("line", event.line());
        json.put("raw", event.raw().words());
        json.put("part", part.component().words());
        json.put("state", part.state().words());
        json.put("before", before.words());
        json.put("corrected", part.corrected());
        json.put("uncorrected", part.uncorrected());
        json.put("action", part.action());
        json.put("drill", event.what().endsWith(DRILL));
        json.put("evidence", part.evidence());
        try {
            String text = JSON.writeValueAsString(json);
            if (text.length() > JSON_CHARS_MAX) {
                json.remove("evidence");
                text = JSON.writeValueAsString(json);
            }
            return text;
        } catch (JsonProcessingException e) {
            throw new IllegalStateException(e);
        }
    }

    private static Thread daemon(Runnable work, String name) {
        Thread made = new Thread(work, name);
        made.setDaemon(true);
        return made;
    }

    private static String lower(Enum<?> name) {
        return name.name().toLowerCase(java.util.Locale.ROOT);
    }

    @Override
    public void close() {
        looker.shutdownNow();
        thread.shutdownNow();
        evacuation.close();
        command.close();
    }
}
