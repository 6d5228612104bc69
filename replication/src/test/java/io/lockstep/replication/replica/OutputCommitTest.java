package io.lockstep.replication.replica;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * The simulated ring with output: frames, epochs, acknowledgements, crashes of either agent, of the VM and of its host, and link losses, in
 * random order from a seed. After each promotion what the world has seen is compared with the promoted state.
 */
class OutputCommitTest {
    private static final int SEEDS =
            Integer.getInteger("lockstep.seeds", Boolean.getBoolean("lockstep.nightly") ? 10_000 : 500);
    private static final long FIRST_SEED = Long.getLong("lockstep.seed", 1);
    private static final int STEPS = 100;
    private static final int LONG_MS = 5_000;

    @TempDir
    Path directory;

    private int promotions;
    private int violations;
    private long seenInAll;
    private String trace = "";

    @Test
    void shouldNeverPromoteAStateOlderThanWhatTheWorldHasSeen() throws Exception {
        for (long seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++) {
            simulate(seed, true);
            assertThat(violations).as("seed %d:\n%s", seed, trace).isZero();
        }
        assertThat(promotions).isGreaterThan(SEEDS / 8);
        assertThat(seenInAll).isGreaterThan(SEEDS * 10L);
    }

    /** The check has teeth: output that does not wait is found out. */
    @Test
    void shouldFindWhatWasSeenTooEarlyWhenOutputDoesNotWait() throws Exception {
        for (long seed = 1; seed <= 50; seed++) {
            simulate(seed, false);
        }
        assertThat(violations).isPositive();
    }

    private void simulate(long seed, boolean held) throws Exception {
        SplittableRandom random = new SplittableRandom(seed);
        try (SimulatedPeer peer = new SimulatedPeer(directory.resolve(held + "-" + seed))) {
            if (random.nextInt(4) != 0) {
                peer.fence = new Fence.Outcome(random.nextInt(3) != 0, "fence command exit code 0");
                peer.restart();
            }
            SimulatedOutput output = new SimulatedOutput(peer, seed, held);
            for (int step = 0; step < STEPS && peer.promotions.isEmpty(); step++) {
                step(output, random);
            }
            calm(output, random.nextInt(20));
            switch (random.nextInt(3)) {
                case 0 -> output.vmDies();
                case 1 -> output.hostDies();
                default -> output.note("lives on");
            }
            settle(output, seed);
            trace = String.join("\n", output.trace);
            for (PromotedVm promoted : peer.promotions) {
                promotions++;
                long knows = output.versionOfEpoch.getOrDefault(promoted.epoch(), 0L);
                violations += output.seen > knows ? 1 : 0;
            }
            seenInAll += output.seen;
        }
    }

    /** Nothing fails for a while: afterwards most VMs are protected, with epochs in flight. */
    private static void calm(SimulatedOutput output, int steps) {
        output.partitioned &= !output.vmAlive;
        output.agentReturns();
        output.passMs(100);
        for (int step = 0; step < steps; step++) {
            output.connect();
            output.run();
            output.epoch();
            if (step % 2 == 0) {
                output.deliver();
            }
            if (step % 3 == 0) {
                output.takeAcks();
            }
        }
    }

    private static void step(SimulatedOutput output, SplittableRandom random) throws Exception {
        int what = random.nextInt(40);
        output.note("before step " + what);
        switch (what) {
            case 0 -> output.cutLink(random.nextInt(4));
            case 1 -> output.agentDies();
            case 2, 3 -> output.agentReturns();
            case 4 -> output.partitioned = output.vmAlive && random.nextInt(3) == 0;
            case 5 -> output.partitioned &= !output.vmAlive;
            case 6 -> {
                if (random.nextInt(4) == 0) {
                    output.vmDies();
                }
            }
            case 7 -> {
                if (random.nextInt(4) == 0) {
                    output.hostDies();
                }
            }
            case 8 -> {
                if (random.nextInt(3) == 0) {
                    output.peer.restart();
                }
            }
            case 9 -> output.passMs(random.nextInt(8) * 100);
            case 10 -> {
                if (output.peer.fence != null && random.nextInt(3) == 0) {
                    output.peer.fence = new Fence.Outcome(!output.peer.fence.fenced(), "it changed");
                }
            }
            case 11, 12, 13, 14 -> output.connect();
            case 15, 16, 17, 18, 19, 20, 21 -> output.epoch();
            case 22, 23, 24, 25, 26 -> output.deliver();
            case 27, 28, 29, 30 -> output.takeAcks();
            default -> output.run();
        }
    }

    /** What is under way comes to its end; a VM that lives has a network that flows, protected or not. */
    private static void settle(SimulatedOutput output, long seed) {
        output.deliver();
        output.passMs(LONG_MS);
        if (!output.vmAlive || !output.peer.promotions.isEmpty()) {
            return;
        }
        output.partitioned = false;
        output.agentReturns();
        output.passMs(100);
        output.run();
        if (!output.sessionUp) {
            output.passMs(LONG_MS);
            output.run();
        } else {
            for (int i = 0; i < 3; i++) {
                output.epoch();
                output.deliver();
                output.takeAcks();
            }
        }
        if (output.vmAlive && output.peer.promotions.isEmpty()) {
            assertThat(output.seen).as("seed %d", seed).isEqualTo(output.version);
        }
    }
}
