package io.lockstep.agent.api;

import io.lockstep.agent.Progress;
import io.lockstep.agent.view.ErrorView;
import io.lockstep.agent.view.JobView;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/** One run of a verb; written by its thread, read by any. */
final class Job implements Progress {
    final String id;
    final String verb;
    final String vm;
    final @Nullable String key;
    final String request;
    private final LongSupplier clockNs;
    private final long startedMs;
    private String state = "running";
    private String phase = "";
    private long done;
    private long total;
    private long phaseStartNs;
    private long reportedNs;
    private @Nullable Object result;
    private @Nullable ErrorView error;

    Job(String id, String verb, String vm, long startedMs, LongSupplier clockNs, @Nullable String key, String request) {
        this.key = key;
        this.request = request;
        this.id = id;
        this.verb = verb;
        this.vm = vm;
        this.startedMs = startedMs;
        this.clockNs = clockNs;
    }

    @Override
    public synchronized void report(String phase, long done, long total) {
        long nowNs = clockNs.getAsLong();
        if (!phase.equals(this.phase)) {
            this.phase = phase;
            phaseStartNs = nowNs;
        }
        reportedNs = nowNs;
        this.done = done;
        this.total = total;
    }

    synchronized void done(@Nullable Object result) {
        this.result = result;
        state = "done";
    }

    synchronized void failed(ErrorView error) {
        this.error = error;
        state = "failed";
    }

    synchronized boolean running() {
        return state.equals("running");
    }

    synchronized JobView view() {
        double seconds = (reportedNs - phaseStartNs) / 1e9;
        double rate = seconds > 0 ? done / seconds : 0;
        long remainingMs = rate > 0 && total >= done ? Math.round((total - done) / rate * 1000) : -1;
        return new JobView(
                id,
                verb,
                vm,
                state,
                startedMs,
                phase,
                done,
                total,
                rate,
                state.equals("done") ? 0 : remainingMs,
                result,
                error);
    }
}
