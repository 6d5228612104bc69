package io.lockstep.replication.replica;

import static org.assertj.core.api.Assertions.assertThat;

import io.lockstep.replication.replica.SimulatedOutput.Broken;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * The simulated ring with output and a disk: frames, disk writes, epochs, acknowledgements, crashes of either agent, of the VM and of its host, and
 * link losses, in random order from a seed. After each promotion what the world has seen is compared with the promoted state, and that with what
 * the VM was at the boundary. A seed that fails is run again with {@code -Dlockstep.seed=N -Dlockstep.seeds=1}.
 */
class OutputCommitTest {
    private static final int SEEDS =
            Integer.getInteger("lockstep.seeds", Boolean.getBoolean("lockstep.nightly") ? 10_000 : 500);
    private static final long FIRST_SEED = Long.getLong("lockstep.seed", 1);
    private static final int SEEDS_BROKEN = 500;
    private static final int STEPS = 100;
    private static final int LONG_MS = 5_000;

    @TempDir
    Path directory;

    private int promotions;
    private int promotionsWithDisk;
    private final List<String> violations = new ArrayList<>();
    private long seenInAll;
    private long references;
    private String trace = "";

    @Test
    void shouldNeverPromoteAStateOlderThanWhatTheWorldHasSeen() throws Exception {
        for (long seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++) {
            simulate(seed, Broken.NOTHING);
            assertThat(violations)
                    .as("seed %d (again: -Dlockstep.seed=%d -Dlockstep.seeds=1):%n%s", seed, seed, trace)
                    .isEmpty();
        }
        if (SEEDS >= 500) {
            assertThat(promotions).isGreaterThan(SEEDS / 8);
            assertThat(promotionsWithDisk).isGreaterThan(SEEDS / 16);
            assertThat(seenInAll).isGreaterThan(SEEDS * 10L);
            assertThat(references).isGreaterThan(SEEDS);
        }
    }

    /** The check has teeth: each rule that is broken is found out. */
    @ParameterizedTest
    @EnumSource(mode = EnumSource.Mode.EXCLUDE, names = "NOTHING")
    void shouldFindOutWhenARuleIsBroken(Broken broken) throws Exception {
        for (long seed = 1; seed <= SEEDS_BROKEN && violations.isEmpty(); seed++) {
            simulate(seed, broken);
        }
        assertThat(violations).isNotEmpty();
    }

    private void simulate(long seed, Broken broken) throws Exception {
        SplittableRandom random = new SplittableRandom(seed);
        boolean withDisk = seed % 2 == 0;
        Path place = directory.resolve(broken + "-" + seed);
        try (SimulatedPeer peer = new SimulatedPeer(place)) {
            if (random.nextInt(4) != 0) {
                peer.fence = new Fence.Outcome(random.nextInt(3) != 0, "fence command exit code 0");
                peer.restart();
            }
            try (SimulatedOutput output = new SimulatedOutput(peer, seed, withDisk, broken)) {
                for (int step = 0; step < STEPS && peer.promotions.isEmpty(); step++) {
                    step(output, random);
                }
                calm(output, random, random.nextInt(40));
                switch (random.nextInt(3)) {
                    case 0 -> output.vmDies();
                    case 1 -> output.hostDies();
                    default -> output.note("lives on");
                }
                settle(output, seed);
                trace = String.join("\n", output.trace);
                for (PromotedVm promoted : peer.promotions) {
                    promotions++;
                    promotionsWithDisk += withDisk ? 1 : 0;
                    String wrong = output.wrong(promoted);
                    if (!wrong.isEmpty()) {
                        violations.add(wrong);
                    }
                }
                seenInAll += output.seen;
                references += output.references;
            }
        }
        removeTree(place);
    }

    /** Ten thousand journals would fill a disk. */
    private static void removeTree(Path top) throws IOException {
        if (!Files.exists(top)) {
            return; // no session came about
        }
        try (Stream<Path> tree = Files.walk(top)) {
            for (Path path : tree.sorted(Comparator.reverseOrder()).toList()) {
                Files.deleteIfExists(path);
            }
        }
    }

    /** Nothing fails for a while, but perhaps an agent at its beginning: afterwards most VMs are protected, with epochs in flight. */
    private static void calm(SimulatedOutput output, SplittableRandom random, int steps) {
        output.partitioned &= !output.vmAlive;
        if (random.nextInt(3) == 0) {
            output.agentDies();
        }
        output.agentReturns();
        output.passMs(100);
        for (int step = 0; step < steps; step++) {
            output.connect();
            switch (random.nextInt(5)) {
                case 0, 1 -> output.epoch();
                case 2 -> output.deliver();
                case 3 -> output.takeAcks();
                default -> output.run();
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
        output.calm = true;
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
