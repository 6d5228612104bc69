package io.lockstep.telemetry.health;

import io.lockstep.telemetry.event.Component;
import io.lockstep.telemetry.event.Earlier;
import io.lockstep.telemetry.event.EventKind;
import io.lockstep.telemetry.event.HardwareEvent;
import io.lockstep.telemetry.event.Raw;
import io.lockstep.telemetry.event.Severity;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * The accounts of all parts. Invariants:
 *
 * <ul>
 *   <li>A part whose data was lost, or whose redundancy is gone, is failing at least, until it is cleared: nothing makes it better by itself.
 *   <li>A fault is in one part's account: when its part is better known, what was counted of it moves there, and a part to which nothing else
 *       happened is forgotten.
 *   <li>Memory is bounded whatever happens: {@link #ACCOUNTS_MAX} parts, {@link Patterns#FOLLOWED_MAX} places in them.
 * </ul>
 *
 * <p>Any thread; all methods exclude each other and are short.
 */
public final class HealthBook {
    /** Parts; a large host has some hundred. When there are more, those that fare best are forgotten first. */
    static final int ACCOUNTS_MAX = 2048;

    /** A part that is known to degrade gets new evidence at most so often. */
    private static final long SAY_MS = 1000;

    private final HealthRules rules;
    private final HealthListener listener;
    private final Bounded<Component, Account> accounts = new Bounded<>(Integer.MAX_VALUE);
    private final Patterns patterns;

    /** @param listener hears of every change */
    public HealthBook(HealthRules rules, HealthListener listener) {
        this.rules = rules;
        this.listener = listener;
        patterns = new Patterns(rules);
    }

    /**
     * Takes a fault.
     *
     * @param refined it was counted before
     * @param earlier as it was recorded before; null if it was not, or nobody knows
     * @param nowMs the clock, milliseconds since 1970
     */
    public synchronized void record(HardwareEvent event, boolean refined, @Nullable Earlier earlier, long nowMs) {
        Account account = account(coarse(event.component()), nowMs);
        HealthState before = account.state;
        boolean pageWorn = false;
        account.lastMs = nowMs;
        Account vague =
                earlier == null ? null : accounts.get(coarse(earlier.event().component()));
        boolean moves = vague != null && vague != account;
        HealthState vagueBefore = vague == null ? HealthState.HEALTHY : vague.state;
        if (earlier != null && vague != null && moves) {
            move(earlier, vague, account, nowMs);
        }
        if (event.kind() == EventKind.REDUNDANCY_RESTORED) {
            account.restore(nowMs);
        } else if (event.immediate()) {
            boolean told = earlier != null && !moves && earlier.event().immediate();
            account.grave += told ? 0 : 1;
            account.uncorrected += refined ? 0 : event.count();
            boolean used = event.severity() == Severity.FATAL || event.severity() == Severity.ACTION_REQUIRED;
            account.worsen(used ? HealthState.FAILED : HealthState.FAILING, nowMs, event.line());
            account.action = account.component instanceof Component.Memory
                    ? "Move the VMs away; replace " + account.component.words() + "."
                    : "Move the VMs away; have " + account.component.words() + " repaired.";
        } else {
            pageWorn = corrected(account, event, refined, nowMs);
        }
        tell(account, before);
        if (pageWorn || event.immediate() || account.state.compareTo(before) > 0) {
            listener.noticed(event, account.view(), before, pageWorn);
        }
        if (vague != null && moves) {
            // Last: the host never looks as if nothing had happened to it.
            tell(vague, vagueBefore);
        }
    }

    private void move(Earlier fault, Account from, Account to, long nowMs) {
        long repaired = Math.min(fault.corrected(), from.corrected);
        from.give(fault, to, nowMs);
        if (repaired > 0) {
            to.worsen(HealthState.WATCH, nowMs, fault.event().on(to.component).line());
            sums(to, nowMs);
            if (socket(from.component) == Component.UNKNOWN) {
                socket(socket(to.component), repaired, nowMs);
            }
        }
        if (from.empty()) {
            to.worsen(from.shared ? HealthState.HEALTHY : from.state, nowMs);
            from.restore(nowMs);
            accounts.remove(from.component);
        } else if (from.grave == 0 && from.uncorrected == 0 && from.state.compareTo(HealthState.FAILING) >= 0) {
            from.settle(limit(from.component), nowMs);
        } else {
            return;
        }
        from.evidence.add("it happened to " + to.component.words());
    }

    /** Returns whether its page should be taken out of use. */
    private boolean corrected(Account account, HardwareEvent event, boolean refined, long nowMs) {
        HealthState least = least(event.kind());
        if (least != HealthState.HEALTHY) {
            account.worsen(least, nowMs, event.line());
        }
        if (event.severity() != Severity.CORRECTED || refined) {
            account.noticed |= !refined;
            return false;
        }
        account.corrected += event.count();
        account.slow.add(nowMs, event.count());
        if (!(event.raw() instanceof Raw.Counter counter && counter.away())) {
            // What came while no agent looked may have taken weeks: it is no storm.
            account.fast.add(nowMs, event.count());
        }
        if (account.state == HealthState.HEALTHY) {
            account.worsen(HealthState.WATCH, nowMs, event.line());
        }
        boolean say = account.state.compareTo(HealthState.DEGRADING) < 0 || nowMs - account.saidMs >= SAY_MS;
        if (say) {
            account.saidMs = nowMs;
            sums(account, nowMs);
        }
        boolean page = false;
        if (event.component() instanceof Component.Memory memory) {
            page = patterns.follow(
                    event, memory, nowMs, say ? reason -> account.worsen(HealthState.DEGRADING, nowMs, reason) : null);
            if (page && account.action.isEmpty()) {
                account.action = "Take the page at 0x" + Long.toHexString(event.address()) + " out of use.";
            }
            socket(memory.socket(), event.count(), nowMs);
        }
        if (account.state == HealthState.DEGRADING && say) {
            account.action = "Move the VMs away soon; replace " + account.component.words() + " at the next chance.";
        }
        return page && say;
    }

    private void sums(Account account, long nowMs) {
        long slow = account.slow.sum(nowMs);
        if (slow >= limit(account.component)) {
            account.worsen(HealthState.DEGRADING, nowMs, slow + " corrected errors in " + hours());
        }
        long fast = account.fast.sum(nowMs);
        if (fast >= rules.stormErrorsMax()) {
            account.worsen(HealthState.DEGRADING, nowMs, "a storm of " + fast + " corrected errors");
        }
    }

    private void socket(int number, long count, long nowMs) {
        if (number == Component.UNKNOWN) {
            return;
        }
        Account socket = account(new Component.Host("memory of CPU" + number), nowMs);
        HealthState before = socket.state;
        socket.corrected += count;
        socket.lastMs = nowMs;
        socket.slow.add(nowMs, count);
        long sum = socket.slow.sum(nowMs);
        boolean say = socket.state != HealthState.DEGRADING || nowMs - socket.saidMs >= SAY_MS;
        if (sum >= rules.socketErrorsMax() && say) {
            socket.saidMs = nowMs;
            socket.worsen(HealthState.DEGRADING, nowMs, sum + " corrected errors in " + hours());
            tell(socket, before);
        }
    }

    private static int socket(Component component) {
        return component instanceof Component.Memory memory ? memory.socket() : Component.UNKNOWN;
    }

    private static HealthState least(EventKind kind) {
        return switch (kind) {
            case MEMORY_SPARE, MEMORY_MAP_OUT, MIRROR_SECOND, LOGGING_LIMIT, CACHE_LIMIT, REDUNDANCY_DEGRADED ->
                HealthState.DEGRADING;
            case MIRROR_SCRUBBED, THERMAL, FAN, POWER_SUPPLY, NETWORK_LINK -> HealthState.WATCH;
            default -> HealthState.HEALTHY;
        };
    }

    private int limit(Component component) {
        if (component instanceof Component.Memory) {
            return rules.dimmErrorsMax();
        }
        return component instanceof Component.Cpu ? rules.cpuErrorsMax() : rules.deviceErrorsMax();
    }

    private String hours() {
        return rules.windowMs() / 3_600_000 + " hours";
    }

    private static Component coarse(Component component) {
        return component instanceof Component.Memory memory ? memory.module() : component;
    }

    /** Lets parts recover to which nothing happened for long; to be called every minute or so. */
    public synchronized void tick(long nowMs) {
        for (Account account : accounts.values()) {
            boolean calm = nowMs - Math.max(account.lastMs, account.sinceMs) >= rules.calmMs();
            boolean mild = account.state == HealthState.WATCH || account.state == HealthState.DEGRADING;
            if (calm && mild) {
                HealthState before = account.state;
                account.state = HealthState.of(before.code() - 1);
                account.sinceMs = nowMs;
                if (account.state == HealthState.HEALTHY) {
                    account.restore(nowMs);
                }
                tell(account, before);
            }
        }
    }

    /**
     * Forgets what happened to some parts, because they were replaced or somebody knows better.
     *
     * @return how many were forgotten
     */
    public synchronized int clear(Predicate<Component> which) {
        List<Account> gone = accounts.values().stream()
                .filter(account -> which.test(account.component))
                .toList();
        gone.forEach(account -> accounts.remove(account.component));
        return gone.size();
    }

    /** Every part to which something happened, worst first. */
    public synchronized List<ComponentHealth> all() {
        List<ComponentHealth> all = new ArrayList<>();
        accounts.values().forEach(account -> all.add(account.view()));
        all.sort(Comparator.comparing(ComponentHealth::state).reversed().thenComparing(health -> health.component()
                .words()));
        return all;
    }

    /** How the host fares: as its worst part. */
    public synchronized HealthState host() {
        HealthState worst = HealthState.HEALTHY;
        for (Account account : accounts.values()) {
            worst = account.state.compareTo(worst) > 0 ? account.state : worst;
        }
        return worst;
    }

    /** Takes up what an earlier life kept. */
    synchronized void restore(ComponentHealth kept, long recentCorrected, long nowMs) {
        Account account = account(kept.component(), nowMs);
        account.state = kept.state();
        account.sinceMs = kept.sinceMs();
        account.lastMs = kept.lastMs();
        account.corrected = kept.corrected();
        account.uncorrected = kept.uncorrected();
        account.grave = kept.state().compareTo(HealthState.FAILING) >= 0 ? 1 : 0;
        account.noticed = kept.corrected() == 0 && kept.uncorrected() == 0;
        account.action = kept.action();
        account.evidence.addAll(kept.evidence());
        account.slow.add(kept.lastMs(), recentCorrected);
    }

    /** Corrected errors of a part in its window. */
    synchronized long recent(Component component, long nowMs) {
        Account account = accounts.get(component);
        return account == null ? 0 : account.slow.sum(nowMs);
    }

    private Account account(Component component, long nowMs) {
        Account account = accounts.get(component);
        if (account == null) {
            if (accounts.size() >= ACCOUNTS_MAX) {
                accounts.values().stream()
                        .min(Comparator.comparing(a -> a.state))
                        .ifPresent(best -> accounts.remove(best.component));
            }
            account = new Account(component, rules);
            account.sinceMs = nowMs;
            accounts.put(component, account);
        }
        return account;
    }

    private void tell(Account account, HealthState before) {
        if (account.state != before) {
            listener.changed(account.view(), before);
        }
    }
}
