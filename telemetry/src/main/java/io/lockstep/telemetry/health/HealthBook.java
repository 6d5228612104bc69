package io.lockstep.telemetry.health;

import io.lockstep.telemetry.event.Component;
import io.lockstep.telemetry.event.Earlier;
import io.lockstep.telemetry.event.EventKind;
import io.lockstep.telemetry.event.HardwareEvent;
import io.lockstep.telemetry.event.Raw;
import io.lockstep.telemetry.event.Severity;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
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
    private Patterns patterns;
    private final Limits limits;

    /** @param listener hears of every change */
    public HealthBook(HealthRules rules, HealthListener listener) {
        this.rules = rules;
        this.listener = listener;
        patterns = new Patterns(rules);
        limits = new Limits(rules);
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
        account.lastMs = nowMs;
        Account vague =
                earlier == null ? null : accounts.get(coarse(earlier.event().component()));
        boolean moves = vague != null && vague != account;
        HealthState vagueBefore = vague == null ? HealthState.HEALTHY : vague.state;
        boolean pageWorn = earlier != null && vague != null && follow(earlier, vague, event, account, nowMs);
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
            wear(account, event.kind(), moves ? null : earlier, nowMs, event.line());
            if (event.severity() != Severity.CORRECTED || refined) {
                account.noticed |= !refined;
            } else {
                pageWorn |= corrected(account, event, nowMs);
            }
            if (pageWorn || account.state.compareTo(before) > 0) {
                advise(account, pageWorn ? event : null);
            }
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

    /** Takes what was counted of a fault to where it happened, as is known now; whether its page, of which nobody knew, is worn. */
    private boolean follow(Earlier fault, Account from, HardwareEvent event, Account to, long nowMs) {
        HardwareEvent before = fault.event();
        long repaired = Math.min(fault.corrected(), from.corrected);
        boolean elsewhere = !before.component().equals(event.component()) || before.address() != event.address();
        if (!elsewhere) {
            return false;
        }
        boolean wornBefore = patterns.worn(event, nowMs);
        List<String> held = from == to || repaired == 0 ? List.of() : reasons(from, nowMs);
        patterns.move(before, event, repaired, nowMs);
        if (from != to) {
            move(fault, from, to, nowMs);
            settle(from, to, held, nowMs);
        }
        patterns.at(event, nowMs).forEach(reason -> to.worsen(HealthState.DEGRADING, nowMs, reason));
        return !wornBefore && patterns.worn(event, nowMs);
    }

    private void move(Earlier fault, Account from, Account to, long nowMs) {
        long repaired = Math.min(fault.corrected(), from.corrected);
        from.wear -= Limits.least(fault.event().kind()) == HealthState.DEGRADING && from.wear > 0 ? 1 : 0;
        from.give(fault, to, nowMs);
        if (repaired > 0) {
            to.worsen(HealthState.WATCH, nowMs, fault.event().on(to.component).line());
            limits.sums(to, nowMs).forEach(reason -> to.worsen(HealthState.DEGRADING, nowMs, reason));
            if (socket(from.component) != socket(to.component)) {
                unsocket(socket(from.component), repaired, nowMs);
                socket(socket(to.component), repaired, nowMs);
            }
        }
    }

    /** A part is as bad as what is left to it says. */
    private void settle(Account from, Account to, List<String> held, long nowMs) {
        held.forEach(from::unsay);
        if (from.empty()) {
            to.worsen(from.shared ? HealthState.HEALTHY : from.state, nowMs);
            from.restore(nowMs);
            accounts.remove(from.component);
            from.say("it happened to " + to.component.words());
            return;
        }
        List<String> holding = reasons(from, nowMs);
        holding.forEach(reason -> from.worsen(HealthState.DEGRADING, nowMs, reason));
        // Patterns that have left their windows keep a part degrading until it was calm; those that happened elsewhere
        // do not.
        boolean worse = !held.isEmpty() || from.state.compareTo(HealthState.FAILING) >= 0;
        HealthState fits = holding.isEmpty() && from.wear == 0 ? HealthState.WATCH : HealthState.DEGRADING;
        if (worse && from.grave == 0 && from.uncorrected == 0 && fits.compareTo(from.state) < 0) {
            from.settle(fits, nowMs);
            advise(from, null);
            from.say("it happened to " + to.component.words());
        }
    }

    private void wear(Account account, EventKind kind, @Nullable Earlier told, long nowMs, String reason) {
        HealthState least = Limits.least(kind);
        if (least == HealthState.HEALTHY) {
            return;
        }
        boolean counted = told != null && Limits.least(told.event().kind()) == HealthState.DEGRADING;
        account.wear += least == HealthState.DEGRADING && !counted ? 1 : 0;
        account.worsen(least, nowMs, reason);
    }

    /** Counts what was repaired; whether its page should be taken out of use. */
    private boolean corrected(Account account, HardwareEvent event, long nowMs) {
        account.corrected += event.count();
        account.slow.add(nowMs, event.count());
        if (!(event.raw() instanceof Raw.Counter counter && counter.away())) {
            // What came while no agent looked may have taken weeks: it is no storm.
            account.fast.add(nowMs, event.count());
        }
        if (account.state == HealthState.HEALTHY) {
            account.worsen(HealthState.WATCH, nowMs, event.line());
        }
        boolean wornBefore = patterns.worn(event, nowMs);
        patterns.add(event, event.count(), nowMs);
        socket(socket(event.component()), event.count(), nowMs);
        if (account.state.compareTo(HealthState.DEGRADING) >= 0 && nowMs - account.saidMs < SAY_MS) {
            return !wornBefore && patterns.worn(event, nowMs);
        }
        account.saidMs = nowMs;
        limits.sums(account, nowMs).forEach(reason -> account.worsen(HealthState.DEGRADING, nowMs, reason));
        patterns.at(event, nowMs).forEach(reason -> account.worsen(HealthState.DEGRADING, nowMs, reason));
        return patterns.worn(event, nowMs);
    }

    /** A sentence for each rule that a part breaks now. */
    private List<String> reasons(Account account, long nowMs) {
        List<String> all = limits.sums(account, nowMs);
        if (account.state.compareTo(HealthState.DEGRADING) >= 0) {
            all.addAll(patterns.of(account.component, nowMs));
        }
        return all;
    }

    private static void advise(Account account, @Nullable HardwareEvent worn) {
        if (account.state == HealthState.DEGRADING) {
            account.action = "Move the VMs away soon; replace " + account.component.words() + " at the next chance.";
        } else if (worn != null && account.action.isEmpty()) {
            account.action = "Take the page at 0x" + Long.toHexString(worn.address()) + " out of use.";
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
            socket.worsen(HealthState.DEGRADING, nowMs, sum + " corrected errors in " + limits.hours());
            tell(socket, before);
        }
    }

    /** Some of what was counted there happened to another one's memory. */
    private void unsocket(int number, long count, long nowMs) {
        Account socket = accounts.get(new Component.Host("memory of CPU" + number));
        if (socket == null) {
            return;
        }
        HealthState before = socket.state;
        boolean many = socket.slow.sum(nowMs) >= rules.socketErrorsMax();
        socket.corrected -= Math.min(count, socket.corrected);
        socket.slow.take(nowMs, count);
        if (socket.corrected == 0) {
            accounts.remove(socket.component);
            socket.restore(nowMs);
        } else if (many && before == HealthState.DEGRADING && socket.slow.sum(nowMs) < rules.socketErrorsMax()) {
            socket.settle(HealthState.WATCH, nowMs);
        }
        tell(socket, before);
    }

    private static int socket(Component component) {
        return component instanceof Component.Memory memory ? memory.socket() : Component.UNKNOWN;
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
                account.action = "";
                tell(account, before);
            }
        }
    }

    /**
     * Forgets what happened to some parts, because they were replaced or somebody knows better.
     *
     * @return how many were forgotten
     */
    public synchronized int clear(Predicate<Component> which, long nowMs) {
        List<Account> gone = accounts.values().stream()
                .filter(account -> which.test(account.component))
                .toList();
        gone.forEach(account -> accounts.remove(account.component));
        patterns.clear(which);
        // What a module's errors did to its processor's memory goes with them.
        gone.forEach(account -> unsocket(socket(account.component), account.corrected, nowMs));
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

    /** How the host fares: as its worst part. What a guest does to itself does not count. */
    public synchronized HealthState host() {
        HealthState worst = HealthState.HEALTHY;
        for (Account account : accounts.values()) {
            boolean worse = !(account.component instanceof Component.Guest) && account.state.compareTo(worst) > 0;
            worst = worse ? account.state : worst;
        }
        return worst;
    }

    /**
     * Reads what an earlier life kept. Of more parts than there is room for, the first ones stay.
     *
     * @param recentCorrected of each part in the same order
     * @param rest what {@link #writeRest} wrote; null if that life did not
     * @return becomes that instead of what it is
     * @throws IOException if the rest ends too early or is none
     */
    synchronized Runnable restoring(
            List<ComponentHealth> parts, List<Long> recentCorrected, @Nullable DataInputStream rest)
            throws IOException {
        List<Account> kept = new ArrayList<>();
        for (int i = 0; i < parts.size(); i++) {
            kept.add(Account.restored(parts.get(i), recentCorrected.get(i), rules));
        }
        Patterns followed = new Patterns(rules);
        if (rest != null) {
            for (Account account : kept) {
                account.read(rest);
            }
            followed.read(rest);
        }
        return () -> become(kept, followed);
    }

    private synchronized void become(List<Account> kept, Patterns followed) {
        accounts.clear();
        kept.stream().limit(ACCOUNTS_MAX).forEach(account -> accounts.put(account.component, account));
        patterns = followed;
    }

    /** Corrected errors of a part in its window. */
    synchronized long recent(Component component, long nowMs) {
        Account account = accounts.get(component);
        return account == null ? 0 : account.slow.sum(nowMs);
    }

    /** Writes what the parts' health does not show: for each of them, in the same order, what it rests on; then the patterns. */
    synchronized void writeRest(List<ComponentHealth> parts, DataOutputStream out) throws IOException {
        for (ComponentHealth part : parts) {
            Account account = accounts.get(part.component());
            (account == null ? new Account(part.component(), rules) : account).write(out);
        }
        patterns.write(out);
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
