package io.lockstep.agent.cli;

import io.lockstep.agent.view.VmSelector;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Exactly one way to say which VM is meant. */
final class VmSelection {
    @ArgGroup(multiplicity = "1")
    @SuppressWarnings("NullAway.Init") // required: picocli sets it before call()
    Ways ways;

    @Spec(Spec.Target.MIXEE)
    @SuppressWarnings("NullAway.Init") // picocli sets it before call()
    CommandSpec spec;

    static final class Ways {
        @Parameters(
                paramLabel = "VM",
                arity = "1",
                description = "Its name, the pid of its QEMU, or the path of its QMP socket.")
        @Nullable
        String vm;

        @Option(names = "--pid", paramLabel = "PID", description = "The process id of its QEMU.")
        @Nullable
        Long pid;

        @Option(names = "--name", paramLabel = "NAME", description = "Its name, as in QEMU's -name.")
        @Nullable
        String name;

        @Option(names = "--qmp", paramLabel = "PATH", description = "Its QMP socket.")
        @Nullable
        Path qmp;
    }

    /** The VM as the API understands it, whatever directory the agent works in. */
    String selector() {
        if (ways.pid != null) {
            return new VmSelector(VmSelector.Kind.PID, Long.toString(ways.pid)).text();
        }
        if (ways.name != null) {
            return new VmSelector(VmSelector.Kind.NAME, VmName.checked(ways.name, spec)).text();
        }
        if (ways.qmp != null) {
            return new VmSelector(VmSelector.Kind.QMP, absolute(ways.qmp)).text();
        }
        String vm = VmName.checked(ways.vm, spec);
        return vm.indexOf('/') < 0 ? vm : new VmSelector(VmSelector.Kind.QMP, absolute(Path.of(vm))).text();
    }

    /** The VM for people. */
    String text() {
        return VmSelector.parse(selector()).value();
    }

    private static String absolute(Path socket) {
        return socket.toAbsolutePath().normalize().toString();
    }
}
