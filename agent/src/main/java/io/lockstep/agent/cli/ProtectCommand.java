package io.lockstep.agent.cli;

import io.lockstep.agent.client.AgentClient;
import io.lockstep.agent.client.AgentClient.Response;
import io.lockstep.agent.client.JsonTree;
import io.lockstep.replication.LockstepException;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code lockstep protect}. */
@Command(
        name = "protect",
        description = "Replicate a running VM to a peer, epoch by epoch; return when the peer holds a whole epoch.")
final class ProtectCommand extends AgentCall {
    @Mixin
    VmSelection vm = new VmSelection();

    @Option(
            names = "--peer",
            paramLabel = "NAME",
            description = "A [peers.NAME] of the configuration; needed if there are several.")
    @Nullable
    String peer;

    @Option(
            names = "--epoch-ms",
            paramLabel = "N",
            description = "Target length of an epoch, milliseconds (default: configured).")
    @Nullable
    Integer epochMs;

    @Option(
            names = "--tracker",
            paramLabel = "NAME",
            description =
                    "How written pages are found: auto, userfaultfd-wp, soft-dirty, content-hash (default: configured).")
    @Nullable
    String tracker;

    @Option(
            names = "--protection",
            paramLabel = "MODE",
            description =
                    "lockstep holds what the VM sends until the peer has its epoch; async does not (default: configured).")
    @Nullable
    Protection protection;

    @Option(
            names = "--allow-unheld-output",
            description = "Protect also a VM with a netdev whose output cannot be held, that netdev as async.")
    boolean allowUnheldOutput;

    @Option(names = "--dry-run", description = "Check everything, touch nothing, and print the standby's command line.")
    boolean dryRun;

    @Option(
            names = "--no-wait",
            description = "Return when the checks are passed, and leave the first copy to the agent.")
    boolean noWait;

    @Override
    int ask(AgentClient client) throws LockstepException, IOException, RequestFailedException {
        String name = vm.text();
        Response response = run(client, vm.selector(), dryRun ? "dry-run" : "protect", body(), !noWait || dryRun);
        if (json) {
            out().println(response.body());
            return ExitCode.OK;
        }
        JsonTree job = response.json();
        JsonTree result = job.get("result");
        if (dryRun) {
            out().println(result.get("commandLine").elements().stream()
                    .map(argument -> shellQuoted(argument.text()))
                    .reduce((a, b) -> a + " " + b)
                    .orElse(""));
            err().println(result.get("vm").text() + ": pid " + result.get("pid").text() + ", QEMU "
                    + result.get("qemuVersion").text() + ", "
                    + Text.bytes(result.get("ramBytes").number()) + " in "
                    + result.get("ramBlocks").text()
                    + " blocks, tracker " + result.get("tracker").text() + ". Nothing was touched.");
        } else if (job.get("state").text().equals("done")) {
            out().println(result.get("vm").text() + " is protected: full copy in "
                    + Text.duration(result.get("initialSync").get("ms").integer()) + ", tracker "
                    + result.get("tracker").text() + ".");
        } else {
            out().println(name + ": the first copy runs as job " + job.get("id").text()
                    + ". 'lockstep status' shows it.");
        }
        return ExitCode.OK;
    }

    private String body() {
        List<String> fields = new ArrayList<>();
        if (peer != null) {
            fields.add("\"peer\":" + quoted(peer));
        }
        if (epochMs != null) {
            fields.add("\"epochMs\":" + epochMs);
        }
        if (tracker != null) {
            fields.add("\"tracker\":" + quoted(tracker));
        }
        if (protection != null) {
            fields.add("\"protection\":" + quoted(protection.text()));
        }
        if (allowUnheldOutput) {
            fields.add("\"allowUnheldOutput\":true");
        }
        return "{" + String.join(",", fields) + "}";
    }

    /** As a shell would have to be told it. */
    static String shellQuoted(String argument) {
        return argument.matches("[A-Za-z0-9_./:=,@%+-]+") ? argument : "'" + argument.replace("'", "'\\''") + "'";
    }
}
