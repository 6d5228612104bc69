package io.lockstep.agent.cli;

import io.lockstep.agent.client.AgentClient;
import io.lockstep.agent.client.AgentClient.Response;
import io.lockstep.agent.client.JsonTree;
import io.lockstep.replication.LockstepException;
import java.io.IOException;
import java.util.List;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

/** {@code lockstep verify}. */
@Command(
        name = "verify",
        description =
                "Compare every page of every RAM block with the replica, at one stop. Exit status 5: some differ.")
final class VerifyCommand extends AgentCall {
    /** Pages printed; the JSON has them all. */
    private static final int PRINTED_MAX = 32;

    @Mixin
    VmSelection vm = new VmSelection();

    @Override
    int ask(AgentClient client) throws LockstepException, IOException, RequestFailedException {
        Response response = run(client, vm.selector(), "verify", "{}", true);
        JsonTree result = response.json().get("result");
        long differing = result.get("pagesDiffering").integer();
        if (json) {
            out().println(response.body());
        } else {
            out().println(result.get("vm").text() + ": epoch "
                    + result.get("epoch").text() + ", "
                    + result.get("pagesCompared").text() + " pages compared, " + differing + " differ, paused for "
                    + Text.ms(result.get("pauseMs").number()) + ".");
            List<JsonTree> pages = result.get("differing").elements();
            for (JsonTree page : pages.subList(0, Math.min(PRINTED_MAX, pages.size()))) {
                out().println("  " + page.get("block").text() + " at 0x"
                        + Long.toHexString(page.get("offsetBytes").integer()));
            }
            if (differing > PRINTED_MAX) {
                out().println("  and " + (differing - PRINTED_MAX) + " more");
            }
        }
        return differing == 0 ? ExitCode.OK : ExitCode.DIFFERS;
    }
}
