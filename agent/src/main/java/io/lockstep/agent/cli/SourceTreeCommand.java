package io.lockstep.agent.cli;

import io.lockstep.replication.LockstepException;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Unmatched;

/** What the launcher of a source tree runs by itself, without this program, and an installed one cannot. */
abstract sealed class SourceTreeCommand implements Callable<Integer> {
    @Unmatched
    String[] arguments = {};

    private final String name;

    private SourceTreeCommand(String name) {
        this.name = name;
    }

    @Override
    public Integer call() throws LockstepException {
        throw new LockstepException(
                "no-source-tree",
                "this is no source tree. Clone Lockstep's repository and run ./lockstep " + name + " there.");
    }

    /** {@code lockstep test}. */
    @Command(
            name = "test",
            description =
                    "Run every test: ./lockstep test [--jdk PATH] [--no-install] [Maven's arguments], in a source tree. --jdk names"
                            + " another JDK; --no-install prints the command that installs what is missing, and exits with 3.")
    static final class Test extends SourceTreeCommand {
        Test() {
            super("test");
        }
    }

    /** {@code lockstep bench}, whose own options are {@code io.lockstep.perf.bench.BenchCommand}'s. */
    @Command(
            name = "bench",
            description =
                    "Measure protection beside QEMU's own migration, in a source tree: ./lockstep bench [--quick] [--only NAME]"
                            + " [--report DIR]; ./lockstep bench --help has the rest.")
    static final class Bench extends SourceTreeCommand {
        Bench() {
            super("bench");
        }
    }
}
