package io.lockstep.linux;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;

/**
 * One process and no other: a pid that is used again has another start time.
 *
 * @param pid process id
 * @param startTicks clock ticks from boot to its start; proc(5), {@code /proc/PID/stat} field 22
 */
public record ProcessIdentity(long pid, long startTicks) {
    /** @throws LinuxException ESRCH if there is no such process */
    public static ProcessIdentity of(long pid) throws IOException {
        String[] fields = statFields(pid);
        return new ProcessIdentity(pid, Long.parseLong(fields[22 - 3]));
    }

    /** Whether this process is there and no zombie. */
    public boolean alive() {
        try {
            String[] fields = statFields(pid);
            return !fields[0].equals("Z") && !fields[0].equals("X") && Long.parseLong(fields[22 - 3]) == startTicks;
        } catch (IOException e) {
            return false;
        }
    }

    /** The fields after the command name, which itself may hold blanks and parentheses: the first is field 3, the state. */
    private static String[] statFields(long pid) throws IOException {
        String stat;
        try {
            stat = Files.readString(Path.of("/proc/" + pid + "/stat"));
        } catch (NoSuchFileException e) {
            throw new LinuxException("read(/proc/" + pid + "/stat)", Errno.ESRCH);
        }
        return stat.substring(stat.lastIndexOf(')') + 2).trim().split(" ", -1);
    }
}
