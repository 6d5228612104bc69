package io.lockstep.agent.api;

import io.lockstep.agent.Progress;
import io.lockstep.agent.events.AgentEvent;
import io.lockstep.agent.events.EventLog;
import io.lockstep.agent.view.ErrorView;
import io.lockstep.agent.view.JobView;
import io.lockstep.replication.LockstepException;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Runs verbs on their own threads, at most one for each VM, whatever a request calls it; remembers the last ones. Any thread. */
final class Jobs implements AutoCloseable {
    /** Verbs at a time: each waits for a VM or a peer and has a thread. */
    static final int RUNNING_MAX = 32;

    /** Ended jobs that can still be asked for. */
    static final int ENDED_MAX = 256;

    private static final Logger LOG = LoggerFactory.getLogger(Jobs.class);

    /** What a job does. */
    @FunctionalInterface
    interface Verb {
        @Nullable
        Object run(Progress progress) throws LockstepException, InterruptedException;
    }

    private final Map<String, Job> jobs = new LinkedHashMap<>();
    private final ExecutorService threads;
    /**
     * Starts the threads of jobs. A thread has the nice value of the one that started it, sched(7), and those of the API, which ask for jobs, are
     * modest: what jobs start, the capture of a VM above all, must not be.
     */
    private final ThreadPoolExecutor starter;

    private final EventLog events;
    private long lastId;

    /**
     * To be called by a thread with the nice value that jobs are to have.
     *
     * @param events where begin and end of each job are published
     */
    Jobs(EventLog events) {
        this.events = events;
        ThreadPoolExecutor pool = new ThreadPoolExecutor(
                RUNNING_MAX,
                RUNNING_MAX,
                10,
                TimeUnit.SECONDS,
                new LinkedBlockingQueue<>(RUNNING_MAX),
                task -> daemon(task, "job"));
        pool.allowCoreThreadTimeOut(true);
        threads = pool;
        starter = new ThreadPoolExecutor(
                1, 1, 0, TimeUnit.SECONDS, new LinkedBlockingQueue<>(), task -> daemon(task, "job-starter"));
        starter.prestartCoreThread();
    }

    private static Thread daemon(Runnable body, String name) {
        Thread made = new Thread(body, name);
        made.setDaemon(true);
        return made;
    }

    /**
     * Starts a verb. An unprotect need not wait for a protect, which it ends, and nothing waits for a drill.
     *
     * @param vm its name in all interfaces
     * @param key of the request, that makes its repetition harmless; null: none
     * @param request what it says: how it names the VM, and its body
     * @throws LockstepException {@code vm-busy}, {@code too-many-jobs} or {@code agent-stops}
     */
    synchronized Job start(String verb, String vm, Verb body, @Nullable String key, String request)
            throws LockstepException {
        if (key != null) {
            // Two requests with one key may have passed the first look together.
            Job known = known(key, verb, request);
            if (known != null) {
                return known;
            }
        }
        int running = 0;
        for (Job job : jobs.values()) {
            if (job.running()) {
                running++;
                // A drill ends by itself when the replica is needed: it is in no other verb's way.
                boolean ends = (verb.equals("unprotect") && job.verb.equals("protect"))
                        || verb.equals("drill") != job.verb.equals("drill");
                if (job.vm.equals(vm) && !ends) {
                    throw new LockstepException(
                            "vm-busy",
                            job.verb + " of " + vm + " runs as job " + job.id + ". Wait until it has ended.");
                }
            }
        }
        if (running >= RUNNING_MAX) {
            throw new LockstepException(
                    "too-many-jobs", running + " jobs run >= " + RUNNING_MAX + ". Wait until one has ended.");
        }
        Job job =
                new Job(Long.toString(++lastId), verb, vm, System.currentTimeMillis(), System::nanoTime, key, request);
        try {
            starter.execute(() -> threads.execute(() -> run(job, body)));
        } catch (RejectedExecutionException e) {
            throw new LockstepException("agent-stops", "the agent stops: it begins no job any more.", e);
        }
        jobs.put(job.id, job);
        forgetOldest();
        return job;
    }

    /**
     * The job that a key began; null if none did.
     *
     * @throws LockstepException {@code idempotency-key-reused} if it began something else
     */
    synchronized @Nullable Job known(String key, String verb, String request) throws LockstepException {
        for (Job job : jobs.values()) {
            if (key.equals(job.key)) {
                if (job.verb.equals(verb) && job.request.equals(request)) {
                    return job;
                }
                throw new LockstepException(
                        "idempotency-key-reused",
                        "Idempotency-Key " + key + " began job " + job.id + ", " + job.verb + " of " + job.vm
                                + ", with another request. Each request needs a key of its own.");
            }
        }
        return null;
    }

    synchronized Job get(String id) throws LockstepException {
        Job job = jobs.get(id);
        if (job == null) {
            throw new LockstepException(
                    "no-such-job",
                    "no job " + id + "; the agent has restarted, or " + ENDED_MAX + " later ones have ended.");
        }
        return job;
    }

    /** Oldest first. */
    synchronized List<Job> all() {
        return new ArrayList<>(jobs.values());
    }

    /** Interrupts what runs. */
    @Override
    public void close() {
        starter.shutdownNow();
        threads.shutdownNow();
    }

    private void run(Job job, Verb body) {
        events.publish(AgentEvent.JOB, job.vm, "running", job.verb + " is job " + job.id);
        perform(job, body);
        JobView view = job.view();
        ErrorView error = view.error();
        events.publish(
                AgentEvent.JOB,
                job.vm,
                view.state(),
                job.verb + ", job " + job.id + (error == null ? "" : ": " + error.message()));
    }

    private static void perform(Job job, Verb body) {
        try {
            job.done(body.run(job));
        } catch (LockstepException e) {
            job.failed(new ErrorView(e.code(), String.valueOf(e.getMessage()), System.currentTimeMillis()));
            LOG.info("{} of {} refused: {}: {}", job.verb, job.vm, e.code(), e.getMessage());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            job.failed(new ErrorView("agent-stops", "the agent stops.", System.currentTimeMillis()));
        } catch (RuntimeException | Error e) {
            job.failed(new ErrorView("internal-error", e + ". See the agent's log.", System.currentTimeMillis()));
            LOG.error("{} of {} failed: {}", job.verb, job.vm, e, e);
        }
    }

    private void forgetOldest() {
        int ended = 0;
        for (Job job : jobs.values()) {
            ended += job.running() ? 0 : 1;
        }
        for (Iterator<Job> oldest = jobs.values().iterator(); ended > ENDED_MAX && oldest.hasNext(); ) {
            if (!oldest.next().running()) {
                oldest.remove();
                ended--;
            }
        }
    }
}
