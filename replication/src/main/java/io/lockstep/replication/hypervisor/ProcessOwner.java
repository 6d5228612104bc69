package io.lockstep.replication.hypervisor;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * As whom a process opens files; proc(5), {@code /proc/PID/status}. The owner of {@code /proc/PID} itself is no measure: it is root for a
 * process that gave up its rights after its start.
 *
 * @param uid filesystem user id
 * @param gid filesystem group id
 */
public record ProcessOwner(int uid, int gid) {
    /** Of a process by its directory in /proc. */
    public static ProcessOwner of(Path directory) throws IOException {
        int uid = -1;
        int gid = -1;
        for (String line : Files.readAllLines(directory.resolve("status"))) {
            // Uid: real effective saved filesystem
            if (line.startsWith("Uid:")) {
                uid = Integer.parseUnsignedInt(line.split("\\s+", -1)[4]);
            } else if (line.startsWith("Gid:")) {
                gid = Integer.parseUnsignedInt(line.split("\\s+", -1)[4]);
            }
        }
        return new ProcessOwner(uid, gid);
    }

    /** Of a process by its id. */
    public static ProcessOwner of(long pid) throws IOException {
        return of(Path.of("/proc/" + pid));
    }

    /** Gives a file to this owner. */
    public void own(Path file) throws IOException {
        Files.setAttribute(file, "unix:uid", uid);
        Files.setAttribute(file, "unix:gid", gid);
    }
}
