package io.lockstep.agent.policy;

import io.lockstep.agent.policy.ActionLog.Outcome;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Takes pages out of use through the kernel: {@code Documentation/admin-guide/mm} and {@code mm/memory-failure.c}. Softly, the content moves to
 * another page, and no process notices, QEMU's neither: the protection that a tracker of ours set moves along. Hard, for a page whose data is lost,
 * whoever has it mapped is sent SIGBUS: a page of a QEMU is left alone until its VM has moved away. One thread.
 */
final class PageOffline {
    static final String ACTION = "offlinePages";

    /** Pages that were handled; what came first is forgotten first, and would merely be asked for again. */
    private static final int HANDLED_MAX = 8192;

    /** Pages that wait for their VM to leave. */
    private static final int WAITING_MAX = 64;

    private static final int PAGE_SHIFT = 12;
    private static final String DIRECTORY = "devices/system/memory";

    /** EHWPOISON, of a page that the kernel took out of use by itself; the Java library has no number of it. */
    private static final String POISONED = "hardware error";

    private final Path sysfs;
    private final PageOwners owners;
    private final ActionLog log;
    private final Map<Long, Boolean> handled = new LinkedHashMap<>();
    private final List<Wanted> waiting = new ArrayList<>();

    /** A page whose data is lost, and why. */
    private record Wanted(long address, String why) {}

    /** @param sysfs of {@code /sys} */
    PageOffline(Path sysfs, PageOwners owners, ActionLog log) {
        this.sysfs = sysfs;
        this.owners = owners;
        this.log = log;
    }

    /**
     * Takes a page out of use, once.
     *
     * @param address in the page, physical, in bytes
     * @param lost whether its data is lost
     * @param mode {@code on}, {@code off} or {@code dry-run}
     */
    void take(long address, boolean lost, String mode, String why) {
        long frame = address >>> PAGE_SHIFT;
        // A page that wore out may lose data later on, which asks for more.
        Boolean before = handled.put(frame, lost);
        if (before != null && (before || !lost)) {
            handled.put(frame, before);
            return;
        }
        if (handled.size() > HANDLED_MAX) {
            handled.remove(handled.keySet().iterator().next());
        }
        String page = name(address);
        String how = lost ? "its data is lost" : "its content moves to another";
        switch (mode) {
            case "on" -> {
                if (lost) {
                    hard(new Wanted(address, why));
                } else {
                    write("soft_offline_page", address, why);
                }
            }
            case "dry-run" ->
                log.note(ACTION, page, Outcome.DRY_RUN, "would take " + page + " out of use, " + how + ": " + why);
            default -> log.note(ACTION, page, Outcome.OFF, page + " stays in use, as configured: " + why);
        }
    }

    /** Parts were replaced, or a drill has ended: what happens to a page from now on counts again. */
    void forget() {
        handled.clear();
    }

    /** A VM has left: its pages can be taken. */
    void retry() {
        List<Wanted> again = List.copyOf(waiting);
        waiting.clear();
        again.forEach(this::hard);
    }

    private void hard(Wanted wanted) {
        PageOwners.Owner owner = owners.of(wanted.address >>> PAGE_SHIFT);
        String page = name(wanted.address);
        if (owner.equals(PageOwners.NOBODY)) {
            write("hard_offline_page", wanted.address, wanted.why);
            return;
        }
        if (waiting.size() < WAITING_MAX) {
            waiting.add(wanted);
        }
        log.note(
                ACTION,
                page,
                Outcome.REFUSED,
                page + " stays in use: "
                        + (owner.pid() == 0
                                ? owner.name()
                                : "it is memory of " + owner.name() + ", pid " + owner.pid()
                                        + ", which would be sent SIGBUS; it is tried again when a VM has moved away")
                        + "; " + wanted.why);
    }

    private void write(String file, long address, String why) {
        Path path = sysfs.resolve(DIRECTORY).resolve(file);
        String page = name(address);
        if (!Files.exists(path)) {
            log.note(
                    ACTION,
                    page,
                    Outcome.FAILED,
                    page + " cannot be taken out of use: " + path
                            + " is not there. It needs a kernel with CONFIG_MEMORY_FAILURE; " + why);
            return;
        }
        byte[] text = String.format("0x%x", address & -(1L << PAGE_SHIFT)).getBytes(StandardCharsets.US_ASCII);
        try (OutputStream out = Files.newOutputStream(path, StandardOpenOption.WRITE)) {
            out.write(text);
        } catch (IOException e) {
            if (String.valueOf(e.getMessage()).contains(POISONED)) {
                log.note(ACTION, page, Outcome.DONE, page + " is out of use already: " + why);
                return;
            }
            log.note(
                    ACTION,
                    page,
                    Outcome.FAILED,
                    page + " was not taken out of use, the kernel says " + e.getMessage() + "; " + why);
            return;
        }
        log.note(ACTION, page, Outcome.DONE, "took " + page + " out of use (" + file + "): " + why);
    }

    private static String name(long address) {
        return String.format("page 0x%x", address & -(1L << PAGE_SHIFT));
    }
}
