package io.lockstep.perf.bench;

import java.util.List;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * The two agents under which sections measure that need none of their own: started for the first of them, with their code compiled by a guest that
 * writes much, so that what is measured is the steady state and not the JIT. Single-threaded.
 */
final class SharedLab implements AutoCloseable {
    /** Length of an epoch where a section asks for none, milliseconds. */
    static final int EPOCH_MS = 25;

    private static final String WARMING = "warming";
    private static final int MIB = 128;

    private final String primary;
    private final String peer;
    private @Nullable Lab lab;

    /** @param sections whose configuration the agents get */
    SharedLab(List<Section> sections) {
        primary = epochs(WARMING, 10)
                + sections.stream().map(s -> s.configuration(false)).collect(Collectors.joining());
        peer = sections.stream().map(s -> s.configuration(true)).collect(Collectors.joining());
    }

    /** The configuration of a VM with epochs of a length of its own, milliseconds. */
    static String epochs(String vm, int epochMs) {
        return "\n[vms." + vm + "]\nepochMs = " + epochMs + "\n";
    }

    /** The agents, which are started if they do not run yet. */
    Lab warm(BenchContext context) throws Exception {
        Lab running = lab;
        if (running == null) {
            running = new Lab(context, EPOCH_MS, primary, peer);
            lab = running;
            String chain = "mb=64 pages=200 sweep=32 hz=100";
            try (BenchGuest guest = BenchGuest.boot(
                    context, BenchGuest.Spec.micro(context, WARMING, MIB, chain), running.directory())) {
                running.protectWarm(WARMING, context.pick(60, 1_500));
                guest.awaitTicks(1);
                running.primary().unprotect(WARMING);
            }
        }
        return running;
    }

    @Override
    public void close() {
        if (lab != null) {
            lab.close();
        }
    }
}
