package io.lockstep.agent.api;

import io.lockstep.agent.view.StateView;
import io.lockstep.replication.LockstepException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.zip.CRC32C;
import org.jspecify.annotations.Nullable;

/** The version of a VM as a client saw it: who it is, and since when it is in its states. Figures that change with every epoch do not count. */
final class EntityTag {
    private EntityTag() {}

    /** Quoted, as the header has it. */
    static String of(Object... parts) {
        CRC32C hash = new CRC32C();
        for (Object part : parts) {
            String text = part instanceof StateView state ? state.name() + "@" + state.sinceMs() : String.valueOf(part);
            hash.update((text + "\n").getBytes(StandardCharsets.UTF_8));
        }
        return String.format("\"%08x\"", hash.getValue());
    }

    /** @throws LockstepException {@code precondition-failed} if If-Match names another version */
    static void check(@Nullable String ifMatch, String present, String vm) throws LockstepException {
        if (ifMatch == null) {
            return;
        }
        boolean matches = Arrays.stream(ifMatch.split(",", -1))
                .map(String::strip)
                .anyMatch(tag -> tag.equals("*") || tag.equals(present));
        if (!matches) {
            throw new LockstepException(
                    "precondition-failed",
                    "If-Match " + ifMatch + " != " + present + ": " + vm
                            + " has changed since it was read. Read it again and decide anew.");
        }
    }
}
