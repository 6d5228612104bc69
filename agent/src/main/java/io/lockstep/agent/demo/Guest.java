package io.lockstep.agent.demo;

import java.nio.file.Path;
import java.util.List;

/** The guests of the demo: what QEMU needs to boot one, and the chain that it runs. */
public enum Guest {
    /** The project's own multiboot program: boots in a tenth of a second. */
    MICRO(64),
    /** Debian's cloud kernel with the same chain in user space. */
    LINUX(256);

    /** Large enough that a lost page matters, small enough that recomputing it costs nothing. */
    private static final int ARENA_MIB = 32;
    /** 20 a tick, a tick each 10 ms: 50 pages of the arena in an epoch of 25 ms. */
    private static final int PAGES_PER_TICK = 20;
    /** 8,192 pages / 32 = every page is read again within 256 ticks, 2.6 s. */
    private static final int SWEEP_PAGES = 32;

    private static final String CHAIN_OPTIONS =
            "mb=" + ARENA_MIB + " pages=" + PAGES_PER_TICK + " sweep=" + SWEEP_PAGES;

    private final int memoryMib;

    Guest(int memoryMib) {
        this.memoryMib = memoryMib;
    }

    /** Machine memory in MiB. */
    int memoryMib() {
        return memoryMib;
    }

    /** A chain at its beginning, with this guest's options. */
    HashChain chain() {
        return new HashChain(ARENA_MIB, PAGES_PER_TICK, SWEEP_PAGES);
    }

    /** QEMU's arguments that boot it from the directory that {@code agent/guests/build.sh} made. */
    List<String> bootArguments(Path guests) {
        return bootArguments(guests, "");
    }

    /** As above, with more options on the linux guest's kernel's command line, as {@code agent/guests/linux/init} knows them. */
    List<String> bootArguments(Path guests, String options) {
        return switch (this) {
            case MICRO -> micro(guests);
            case LINUX -> linux(guests, options);
        };
    }

    private static List<String> micro(Path guests) {
        return List.of("-kernel", guests.resolve("micro.elf").toString(), "-append", CHAIN_OPTIONS);
    }

    private static List<String> linux(Path guests, String options) {
        return List.of(
                "-kernel",
                guests.resolve("vmlinuz").toString(),
                "-initrd",
                guests.resolve("initrd.gz").toString(),
                "-append",
                "console=ttyS0 loglevel=1 panic=-1 " + CHAIN_OPTIONS + " " + options);
    }
}
