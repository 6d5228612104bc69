package io.lockstep.agent.daemon;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.lockstep.replication.LockstepException;
import io.lockstep.replication.link.SessionHello;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** What the next life of the agent must know of the VMs that this one protects: a JSON file a VM, replaced atomically. Thread-safe. */
final class ProtectionStore {
    private static final Logger LOG = LoggerFactory.getLogger(ProtectionStore.class);
    private static final String SUFFIX = ".json";

    /**
     * One protected VM.
     *
     * @param vmName its name
     * @param vmId of this QEMU process
     * @param pid of QEMU
     * @param startTicks of that process, so that a recycled pid is not taken for it
     * @param peer name in the configuration
     * @param epochMs as asked for
     * @param tracker as asked for
     * @param protection {@code lockstep} or {@code async}; null in the record of an agent that held nothing
     * @param allowUnheldOutput as asked for
     * @param restarts of the agent so far
     * @param handedOverEpoch epoch with which the VM became the peer's; -1 while it is ours
     * @param hello as for a session, with the widest bounds for the replica's epoch: when QEMU is gone, nobody else knows it; null in the
     *     record of an agent that did not keep it
     */
    record Entry(
            String vmName,
            UUID vmId,
            long pid,
            long startTicks,
            String peer,
            int epochMs,
            String tracker,
            @Nullable String protection,
            boolean allowUnheldOutput,
            int restarts,
            long handedOverEpoch,
            @Nullable SessionHello hello) {
        /** The agent came back and found the VM running: whatever was handed over before, it is ours. */
        Entry restarted() {
            return with(protection, restarts + 1, -1);
        }

        Entry handedOver(long epoch) {
            return with(protection, restarts, epoch);
        }

        Entry switched(String mode) {
            return with(mode, restarts, handedOverEpoch);
        }

        private Entry with(@Nullable String mode, int restartCount, long epoch) {
            return new Entry(
                    vmName,
                    vmId,
                    pid,
                    startTicks,
                    peer,
                    epochMs,
                    tracker,
                    mode,
                    allowUnheldOutput,
                    restartCount,
                    epoch,
                    hello);
        }
    }

    private final Path directory;
    private final ObjectMapper json = new ObjectMapper();

    ProtectionStore(Path directory) throws LockstepException {
        this.directory = directory;
        try {
            Files.createDirectories(directory);
        } catch (IOException e) {
            throw failure(directory, e);
        }
    }

    /** All that is written down; a file that cannot be read is left alone and said in the log. */
    List<Entry> all() throws LockstepException {
        List<Entry> entries = new ArrayList<>();
        try (Stream<Path> files = Files.list(directory)) {
            for (Path file : files.filter(f -> f.toString().endsWith(SUFFIX)).toList()) {
                try {
                    entries.add(json.readValue(Files.readString(file), Entry.class));
                } catch (JsonProcessingException e) {
                    LOG.warn(
                            "{} is no record of a protection: {}. Remove it, and protect its VM again.",
                            file,
                            e.getOriginalMessage());
                }
            }
        } catch (IOException e) {
            throw failure(directory, e);
        }
        return entries;
    }

    /** Writes one down; on disk when it returns. */
    void put(Entry entry) throws LockstepException {
        Path file = file(entry.vmName);
        Path next = file.resolveSibling(file.getFileName() + ".new");
        try {
            Files.writeString(next, json.writeValueAsString(entry));
            try (FileChannel channel = FileChannel.open(next, StandardOpenOption.WRITE)) {
                channel.force(true);
            }
            Files.move(next, file, StandardCopyOption.ATOMIC_MOVE);
        } catch (IOException e) {
            throw failure(file, e);
        }
    }

    /** Forgets one. */
    void remove(String vmName) throws LockstepException {
        try {
            Files.delete(file(vmName));
        } catch (NoSuchFileException e) {
            LOG.debug("{} was forgotten before", vmName);
        } catch (IOException e) {
            throw failure(file(vmName), e);
        }
    }

    private Path file(String vmName) {
        StringBuilder name = new StringBuilder(vmName.length());
        for (int i = 0; i < vmName.length(); i++) {
            char c = vmName.charAt(i);
            boolean plain = "-.".indexOf(c) >= 0 || (c < 128 && Character.isLetterOrDigit(c));
            name.append(plain ? String.valueOf(c) : String.format("_%04x", (int) c));
        }
        return directory.resolve(name + SUFFIX);
    }

    private static LockstepException failure(Path path, IOException e) {
        return new LockstepException(
                "state-not-writable", "cannot write " + path + ": " + e + ". Check its owner, mode and free space.", e);
    }
}
