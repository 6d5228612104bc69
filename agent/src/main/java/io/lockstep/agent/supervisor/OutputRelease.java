package io.lockstep.agent.supervisor;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.lockstep.agent.AgentPaths;
import io.lockstep.replication.LockstepException;
import io.lockstep.replication.hypervisor.ListeningProcess;
import io.lockstep.replication.hypervisor.QemuFinder;
import io.lockstep.replication.hypervisor.QemuProcess;
import io.lockstep.replication.hypervisor.QmpConnection;
import io.lockstep.replication.network.OutputHold;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/**
 * Lets the network of protected VMs flow when their agent has died: its filters drop what nobody takes from them, until they are removed. The
 * VMs are unprotected from then on, as the peer knows, until an agent puts filters in again.
 */
public final class OutputRelease {
    /** The dead agent's connection ends with it; nobody else has the monitor. */
    private static final long QMP_NS = 1_000_000_000L;

    private OutputRelease() {}

    /** Removes the filters from every VM that the agent under this root protected; says on stderr what it could not do. */
    public static void run(AgentPaths paths) {
        Path records = paths.state().resolve("protections");
        List<Path> files;
        try (Stream<Path> listed = Files.list(records)) {
            files = listed.filter(file -> file.toString().endsWith(".json")).toList();
        } catch (IOException e) {
            return; // It protected nothing.
        }
        for (Path file : files) {
            try {
                JsonNode record = new ObjectMapper().readTree(Files.readString(file));
                QemuProcess process =
                        new QemuFinder().findByPid(record.path("pid").asLong());
                if (process.identity().startTicks() == record.path("startTicks").asLong()) {
                    try (QmpConnection qmp =
                            QmpConnection.open(QemuFinder.qmpSocket(process), ListeningProcess.of(process), QMP_NS)) {
                        OutputHold.removeLeftovers(qmp);
                    }
                }
            } catch (LockstepException e) {
                if (!e.code().equals("vm-not-found")) {
                    say(file, e);
                }
            } catch (IOException e) {
                say(file, e);
            }
        }
    }

    private static void say(Path file, Exception e) {
        System.err.println("lockstep: the network of the VM of " + file.getFileName() + " waits for the next agent: "
                + e.getMessage());
    }
}
