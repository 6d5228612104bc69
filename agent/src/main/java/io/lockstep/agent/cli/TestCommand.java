package io.lockstep.agent.cli;

import io.lockstep.replication.LockstepException;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Unmatched;

/** {@code lockstep test}, which the launcher of a source tree runs by itself, without this program. */
@Command(
        name = "test",
        description =
                "Run every test: ./lockstep test [--jdk PATH] [--no-install] [Maven's arguments], in a source tree. --jdk names another"
                        + " JDK; --no-install prints the command that installs what is missing, and exits with 3.")
final class TestCommand implements Callable<Integer> {
    @Unmatched
    String[] arguments = {};

    @Override
    public Integer call() throws LockstepException {
        throw new LockstepException(
                "no-source-tree", "this is no source tree. Clone Lockstep's repository and run ./lockstep test there.");
    }
}
