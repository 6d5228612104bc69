package io.lockstep.agent.cli;

import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** The name of a VM that need not run here: a replica has no process of its own. */
final class VmName {
    @Parameters(paramLabel = "VM", description = "Its name.")
    @SuppressWarnings("NullAway.Init") // required: picocli sets it before call()
    String vm;

    @Spec(Spec.Target.MIXEE)
    @SuppressWarnings("NullAway.Init") // picocli sets it before call()
    CommandSpec spec;

    String text() {
        return checked(vm, spec);
    }

    /** An empty name would be another path in the API. */
    static String checked(@Nullable String vm, CommandSpec spec) {
        if (vm == null || vm.isBlank()) {
            throw new ParameterException(spec.commandLine(), "the VM's name is empty");
        }
        return vm;
    }
}
