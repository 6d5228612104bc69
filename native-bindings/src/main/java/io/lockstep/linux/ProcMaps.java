package io.lockstep.linux;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/** A process's mappings; proc(5), {@code /proc/PID/maps} and {@code smaps}. Any thread. */
public final class ProcMaps {
    /**
     * One mapping.
     *
     * @param start first address
     * @param end first address behind it
     * @param permissions four characters, e.g. {@code rw-p}
     * @param offset bytes into its file
     * @param device of its file, e.g. {@code 00:01}
     * @param inode of its file, 0 for none
     * @param path its file, {@code [vdso]} and the like, or empty; as the kernel shows it, with {@code (deleted)}
     * @param vmFlags from smaps, e.g. {@code uw} (watched by userfaultfd), {@code dd}; empty if read from maps
     * @param pageBytes page size of its backing, from smaps; 0 if read from maps
     */
    public record Mapping(
            long start,
            long end,
            String permissions,
            long offset,
            String device,
            long inode,
            String path,
            Set<String> vmFlags,
            int pageBytes) {
        /** Length in bytes. */
        public long length() {
            return end - start;
        }

        /** Whether writes reach its file. */
        public boolean shared() {
            return permissions.charAt(3) == 's';
        }
    }

    private ProcMaps() {}

    /** The mappings in order of address, without smaps' details. */
    public static List<Mapping> of(long pid) throws IOException {
        return parse(read(pid, "maps"));
    }

    /** The mappings with their flags and page sizes; takes milliseconds for large processes. */
    public static List<Mapping> detailed(long pid) throws IOException {
        return parse(read(pid, "smaps"));
    }

    /** Parses the lines of either file. */
    static List<Mapping> parse(List<String> lines) {
        List<Mapping> mappings = new ArrayList<>();
        for (String line : lines) {
            if (isHeader(line)) {
                mappings.add(header(line));
            } else if (line.startsWith("VmFlags:")) {
                Mapping m = mappings.remove(mappings.size() - 1);
                Set<String> flags = Set.of(line.substring(8).trim().split(" +", -1));
                mappings.add(new Mapping(
                        m.start, m.end, m.permissions, m.offset, m.device, m.inode, m.path, flags, m.pageBytes));
            } else if (line.startsWith("KernelPageSize:")) {
                Mapping m = mappings.remove(mappings.size() - 1);
                int bytes =
                        Integer.parseInt(line.substring(15, line.indexOf("kB")).trim()) * 1024;
                mappings.add(new Mapping(
                        m.start, m.end, m.permissions, m.offset, m.device, m.inode, m.path, m.vmFlags, bytes));
            }
        }
        return mappings;
    }

    private static List<String> read(long pid, String file) throws IOException {
        try {
            return Files.readAllLines(Path.of("/proc/" + pid + "/" + file));
        } catch (NoSuchFileException e) {
            throw new LinuxException("read(/proc/" + pid + "/" + file + ")", Errno.ESRCH);
        }
    }

    /** Headers begin with an address in lower case, details with a name in upper case. */
    private static boolean isHeader(String line) {
        int dash = line.indexOf('-');
        int blank = line.indexOf(' ');
        return dash > 0 && dash < blank && Character.digit(line.charAt(0), 16) >= 0 && !line.startsWith("A");
    }

    private static Mapping header(String line) {
        // address permissions offset device inode path, the path with all its blanks
        String[] fields = line.split(" +", 6);
        int dash = fields[0].indexOf('-');
        return new Mapping(
                Long.parseUnsignedLong(fields[0].substring(0, dash), 16),
                Long.parseUnsignedLong(fields[0].substring(dash + 1), 16),
                fields[1],
                Long.parseUnsignedLong(fields[2], 16),
                fields[3],
                Long.parseLong(fields[4]),
                fields.length > 5 ? fields[5] : "",
                Set.of(),
                0);
    }
}
