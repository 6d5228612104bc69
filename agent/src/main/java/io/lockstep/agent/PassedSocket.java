package io.lockstep.agent;

import io.lockstep.linux.Descriptors;
import io.lockstep.linux.LinuxException;
import java.util.Map;

/** A listening socket that this process was started with; sd_listen_fds(3). */
public final class PassedSocket {
    private static final int STDIN = 0;

    /** SD_LISTEN_FDS_START. */
    private static final int LISTEN_FDS_START = 3;

    private PassedSocket() {}

    /** Whether there is one: of several, the first is meant. */
    public static boolean isPassed(Map<String, String> environment) {
        return environment.getOrDefault("LISTEN_FDS", "").matches("[1-9][0-9]{0,3}")
                && environment
                        .getOrDefault("LISTEN_PID", "")
                        .equals(Long.toString(ProcessHandle.current().pid()));
    }

    /** Makes it standard input, where {@link System#inheritedChannel} finds it; once. */
    public static void becomeStandardInput() throws LinuxException {
        Descriptors.replace(STDIN, LISTEN_FDS_START);
    }
}
