package io.lockstep.replication.hypervisor;

import com.fasterxml.jackson.databind.JsonNode;
import io.lockstep.linux.ProcMaps;
import io.lockstep.replication.LockstepException;
import io.lockstep.replication.RamBlock;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Set;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Finds every migratable RAM block of a QEMU and its address there. The names and sizes come from {@code info ramblock}; the addresses
 *
 * <ol>
 *   <li>from {@code info ramblock} itself, where it has them (QEMU 8 and newer);
 *   <li>else, for what the guest's physical memory shows, from {@code info mtree -f} and {@code gpa2hva};
 *   <li>for the rest (option ROMs, ACPI blobs, VGA memory before its BAR is set) from the mappings that QEMU keeps from its children
 *       (MADV_DONTFORK, done for RAM blocks alone) and ends with a guard page ({@code util/mmap-alloc.c}): one of the block's exact size,
 *       and if several are equal, the one that QEMU's own table names ({@link RamBlockTable}).
 * </ol>
 *
 * An address that is in doubt is a refusal. One thread.
 */
public final class RamBlockFinder {
    // Block Name, PSize, Offset, Used, Total and, from QEMU 8 on, HVA and RO; a name may hold blanks.
    private static final Pattern BLOCK = Pattern.compile(
            "^\\s*(.+?)\\s+(\\d+ [KMG]iB)\\s+(0x[0-9a-f]+)\\s+(0x[0-9a-f]+)\\s+(0x[0-9a-f]+)(?:\\s+(0x[0-9a-f]+).*)?$");
    // 0000000000100000-0000000003ffffff (prio 0, ram): pc.ram @0000000000100000 KVM
    private static final Pattern MAPPED = Pattern.compile(
            "^\\s*([0-9a-f]{16})-([0-9a-f]{16}) \\(prio -?\\d+, (?:nv-)?(?:ram|rom|romd)\\): (.+?)(?: @([0-9a-f]{16}))?(?: KVM)?\\s*$");

    private static final Pattern HOST = Pattern.compile("is (0x[0-9a-f]+)");

    private final QmpConnection qmp;
    private final long pid;

    /** Looks into the process that this connection leads to. */
    public RamBlockFinder(QmpConnection qmp, long pid) {
        this.qmp = qmp;
        this.pid = pid;
    }

    /** A line of {@code info ramblock}; address 0 if it has none. */
    record Listed(String name, int pageBytes, long offset, long used, long total, long address) {}

    /**
     * All blocks, numbered in the order of their names.
     *
     * @throws LockstepException {@code ram-block-not-found}, {@code ram-block-unsupported} or {@code ram-no-privilege}
     */
    public List<HostRamBlock> find() throws LockstepException {
        List<Listed> listed = parseBlocks(qmp.hmp("info ramblock"));
        NavigableMap<Long, RamMapping> mappings = ramMappings();
        Map<String, Long> addresses = new LinkedHashMap<>();
        for (Listed block : listed) {
            if (block.address != 0) {
                addresses.put(block.name, block.address);
            }
        }
        if (addresses.isEmpty()) {
            locateMapped(listed, mappings, addresses);
            locateUnmapped(listed, mappings, addresses);
        }
        return describe(listed, mappings, addresses);
    }

    static List<Listed> parseBlocks(String text) {
        List<Listed> blocks = new ArrayList<>();
        for (String line : text.split("\n", -1)) {
            Matcher m = BLOCK.matcher(line);
            if (m.matches()) {
                String address = m.group(6);
                blocks.add(new Listed(
                        m.group(1),
                        pageBytes(m.group(2)),
                        Long.decode(m.group(3)),
                        Long.decode(m.group(4)),
                        Long.decode(m.group(5)),
                        address == null ? 0 : Long.parseUnsignedLong(address.substring(2), 16)));
            }
        }
        blocks.sort(Comparator.comparing(Listed::name));
        return blocks;
    }

    private static int pageBytes(String text) {
        int unit =
                switch (text.charAt(text.length() - 3)) {
                    case 'K' -> 1 << 10;
                    case 'M' -> 1 << 20;
                    default -> 1 << 30;
                };
        return Math.multiplyExact(Integer.parseInt(text.substring(0, text.indexOf(' '))), unit);
    }

    /** Neighbouring mappings of one RAM block: a tracker that watches a part splits them. */
    private record RamMapping(long start, long end, ProcMaps.Mapping first) {
        long length() {
            return end - start;
        }
    }

    private NavigableMap<Long, RamMapping> ramMappings() throws LockstepException {
        List<ProcMaps.Mapping> all;
        try {
            all = ProcMaps.detailed(pid);
        } catch (IOException e) {
            throw new LockstepException(
                    "ram-no-privilege",
                    "Cannot read /proc/" + pid + "/smaps: " + e.getMessage()
                            + ". Run the agent as root or with CAP_SYS_PTRACE.",
                    e);
        }
        TreeMap<Long, RamMapping> found = new TreeMap<>();
        for (ProcMaps.Mapping m : all) {
            if (!m.vmFlags().contains("dc") || m.permissions().startsWith("---")) {
                continue;
            }
            Map.Entry<Long, RamMapping> last = found.lastEntry();
            if (last != null && last.getValue().end == m.start()) {
                RamMapping before = last.getValue();
                found.put(before.start, new RamMapping(before.start, m.end(), before.first));
            } else {
                found.put(m.start(), new RamMapping(m.start(), m.end(), m));
            }
        }
        Set<Long> guards = new HashSet<>();
        all.stream().filter(m -> m.permissions().startsWith("---")).forEach(m -> guards.add(m.start()));
        found.values().removeIf(m -> !guards.contains(m.end));
        return found;
    }

    private void locateMapped(List<Listed> blocks, NavigableMap<Long, RamMapping> mappings, Map<String, Long> addresses)
            throws LockstepException {
        Set<Long> taken = new HashSet<>();
        for (String line : qmp.hmp("info mtree -f").split("\n", -1)) {
            Matcher m = MAPPED.matcher(line);
            if (!m.matches()) {
                continue;
            }
            String region = m.group(3);
            List<Listed> named = blocks.stream()
                    .filter(b -> b.name.equals(region) || b.name.endsWith("/" + region))
                    .toList();
            if (named.size() == 1 && addresses.containsKey(named.get(0).name)) {
                continue;
            }
            // gpa2hva reads the machine's own address space: what only another one shows (SMM) is not there.
            Matcher host = HOST.matcher(qmp.hmp("gpa2hva 0x" + m.group(1)));
            if (named.isEmpty() || !host.find()) {
                continue;
            }
            long offset = m.group(4) == null ? 0 : Long.parseUnsignedLong(m.group(4), 16);
            long start = Long.decode(host.group(1)) - offset;
            RamMapping mapping = mappings.get(start);
            if (mapping == null || taken.contains(start)) {
                continue;
            }
            List<Listed> fitting = named.stream()
                    .filter(b -> backingBytes(b) == mapping.length() && !addresses.containsKey(b.name))
                    .toList();
            if (fitting.size() == 1) {
                addresses.put(fitting.get(0).name, start);
                taken.add(start);
            }
        }
    }

    private void locateUnmapped(
            List<Listed> blocks, NavigableMap<Long, RamMapping> mappings, Map<String, Long> addresses)
            throws LockstepException {
        Map<Long, List<Listed>> missing = new TreeMap<>();
        for (Listed block : blocks) {
            if (!addresses.containsKey(block.name)) {
                missing.computeIfAbsent(backingBytes(block), size -> new ArrayList<>())
                        .add(block);
            }
        }
        if (missing.isEmpty()) {
            return;
        }
        Set<Long> taken = new HashSet<>(addresses.values());
        RamBlockTable table = new RamBlockTable(pid);
        for (Map.Entry<Long, List<Listed>> group : missing.entrySet()) {
            List<Listed> sameSize = group.getValue();
            List<RamMapping> candidates = mappings.values().stream()
                    .filter(c -> c.length() == group.getKey() && !taken.contains(c.start))
                    .toList();
            if (candidates.size() != sameSize.size()) {
                throw new LockstepException(
                        "ram-block-not-found",
                        "QEMU (pid " + pid + ") has " + sameSize.size() + " RAM blocks of " + group.getKey()
                                + " bytes ("
                                + String.join(
                                        ", ",
                                        sameSize.stream().map(Listed::name).toList())
                                + ") that the guest's memory map does not show, but " + candidates.size()
                                + " mappings of that size. Upgrade to QEMU 8 or newer, which tells their addresses.");
            }
            if (sameSize.size() == 1) {
                addresses.put(sameSize.get(0).name, candidates.get(0).start);
                continue;
            }
            Set<Long> starts =
                    new HashSet<>(candidates.stream().map(RamMapping::start).toList());
            for (Listed block : sameSize) {
                long address = table.address(block, starts);
                addresses.put(block.name, address);
                starts.remove(address);
            }
        }
    }

    private static long backingBytes(Listed block) {
        long page = block.pageBytes;
        return (block.total + page - 1) / page * page;
    }

    private List<HostRamBlock> describe(
            List<Listed> blocks, NavigableMap<Long, RamMapping> mappings, Map<String, Long> addresses)
            throws LockstepException {
        Set<String> machineMemory = new HashSet<>();
        for (JsonNode memdev : qmp.execute("query-memdev")) {
            String id = memdev.path("id").asText();
            machineMemory.add(id);
            machineMemory.add("/objects/" + id);
        }
        List<HostRamBlock> found = new ArrayList<>();
        for (Listed block : blocks) {
            long address = addresses.getOrDefault(block.name, 0L);
            Map.Entry<Long, RamMapping> entry = mappings.floorEntry(address);
            if (entry == null || entry.getValue().end < address + block.used) {
                throw new LockstepException(
                        "ram-block-not-found",
                        "RAM block " + block.name + " (" + block.used + " bytes at 0x" + Long.toHexString(address)
                                + ") is no mapping of QEMU (pid " + pid + ").");
            }
            if (block.used % RamBlock.PAGE_BYTES != 0 || block.used == 0) {
                throw new LockstepException(
                        "ram-block-unsupported",
                        "RAM block " + block.name + " has " + block.used + " bytes, no positive multiple of "
                                + RamBlock.PAGE_BYTES + ".");
            }
            ProcMaps.Mapping mapping = entry.getValue().first;
            RamBlock ram = new RamBlock(
                    found.size(), block.name, block.used, block.pageBytes, machineMemory.contains(block.name));
            long fileOffset = mapping.offset() + address - mapping.start();
            found.add(new HostRamBlock(
                    ram, address, mapping.shared(), mapping.shared() ? file(mapping) : null, fileOffset));
        }
        return found;
    }

    private Path file(ProcMaps.Mapping mapping) {
        return Path.of("/proc/" + pid + "/map_files/" + Long.toHexString(mapping.start()) + "-"
                + Long.toHexString(mapping.end()));
    }
}
