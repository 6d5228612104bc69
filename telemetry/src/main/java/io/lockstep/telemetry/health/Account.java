package io.lockstep.telemetry.health;

import io.lockstep.telemetry.event.Component;
import io.lockstep.telemetry.event.Earlier;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

/** What is kept of one part. For one thread. */
final class Account {
    static final int EVIDENCE_MAX = 8;

    Component component;
    HealthState state = HealthState.HEALTHY;
    long sinceMs;
    long lastMs;
    long corrected;
    long uncorrected;

    /** Faults, and not errors, for which it is failing. */
    int grave;

    /** Faults, and not errors, of a kind that alone makes it degrade. */
    int wear;

    /** Whether something happened that is in neither number. */
    boolean noticed;

    /** Whether some of what was told of it happened elsewhere: its state may be the others'. */
    boolean shared;

    /** When the evidence was last written: a storm must not write it for each error. */
    long saidMs = Long.MIN_VALUE / 2;

    String action = "";
    final List<String> evidence = new ArrayList<>();
    final SlidingCount slow;
    final SlidingCount fast;

    Account(Component component, HealthRules rules) {
        this.component = component;
        slow = new SlidingCount(rules.windowMs());
        fast = new SlidingCount(rules.fastWindowMs());
    }

    /**
     * As an earlier life showed it; {@link #read} says what it rests on, and without that it is guessed.
     *
     * @param recentCorrected errors in the window
     */
    static Account restored(ComponentHealth kept, long recentCorrected, HealthRules rules) {
        Account account = new Account(kept.component(), rules);
        account.state = kept.state();
        account.sinceMs = kept.sinceMs();
        account.lastMs = kept.lastMs();
        account.corrected = kept.corrected();
        account.uncorrected = kept.uncorrected();
        account.grave = kept.state().compareTo(HealthState.FAILING) >= 0 ? 1 : 0;
        account.wear = kept.state() == HealthState.DEGRADING ? 1 : 0;
        account.noticed = kept.corrected() == 0 && kept.uncorrected() == 0;
        account.action = kept.action();
        account.evidence.addAll(kept.evidence());
        account.slow.add(kept.lastMs(), recentCorrected);
        return account;
    }

    /** Goes to a worse state for a reason; a better or equal one changes nothing but the evidence. */
    void worsen(HealthState next, long nowMs, String reason) {
        unsay(reason);
        if (next.compareTo(state) >= 0 || evidence.size() < EVIDENCE_MAX) {
            say(reason);
        }
        worsen(next, nowMs);
    }

    /** Adds to the evidence; the oldest makes room. */
    void say(String reason) {
        evidence.add(reason);
        if (evidence.size() > EVIDENCE_MAX) {
            evidence.remove(0);
        }
    }

    /** Takes a reason out of the evidence, also with other numbers: a storm leaves one sentence. */
    void unsay(String reason) {
        String form = form(reason);
        evidence.removeIf(old -> form(old).equals(form));
    }

    private static String form(String reason) {
        return reason.replaceAll("[0-9]+", "#");
    }

    /** Hands what was counted of a fault to the part to which it happened. */
    void give(Earlier fault, Account to, long nowMs) {
        long repaired = Math.min(fault.corrected(), corrected);
        long lost = Math.min(fault.uncorrected(), uncorrected);
        corrected -= repaired;
        uncorrected -= lost;
        to.corrected += repaired;
        to.uncorrected += lost;
        to.slow.add(nowMs, slow.take(nowMs, repaired));
        to.fast.add(nowMs, fast.take(nowMs, repaired));
        grave -= fault.event().immediate() && grave > 0 ? 1 : 0;
        evidence.remove(fault.event().line());
        shared |= !empty();
    }

    /** Whether nothing is left that happened to it. */
    boolean empty() {
        return corrected == 0 && uncorrected == 0 && grave == 0 && wear == 0 && !noticed;
    }

    /** Becomes as bad, if it is not worse. */
    void worsen(HealthState other, long nowMs) {
        if (other.compareTo(state) > 0) {
            state = other;
            sinceMs = nowMs;
        }
    }

    /** Fares better again: what was graver happened to another part. */
    void settle(HealthState fits, long nowMs) {
        state = fits;
        sinceMs = nowMs;
        action = "";
    }

    /** Makes it as one to which nothing happened. */
    void restore(long nowMs) {
        state = HealthState.HEALTHY;
        sinceMs = nowMs;
        grave = 0;
        wear = 0;
        evidence.clear();
        action = "";
    }

    void write(DataOutputStream out) throws IOException {
        out.writeInt(grave);
        out.writeInt(wear);
        out.writeBoolean(noticed);
        out.writeBoolean(shared);
        slow.write(out);
        fast.write(out);
    }

    /** Takes up what was written, instead of what was guessed of it. */
    void read(DataInputStream in) throws IOException {
        grave = in.readInt();
        wear = in.readInt();
        noticed = in.readBoolean();
        shared = in.readBoolean();
        slow.read(in);
        fast.read(in);
    }

    ComponentHealth view() {
        return new ComponentHealth(component, state, sinceMs, lastMs, corrected, uncorrected, evidence, action);
    }
}
