/*
 * The linux guest's program: the hash chain in user space, printing "tick N state H" on the console, with the micro guest's options
 * (mb, pages, sweep, hz, every, poweroff, reset, crash), read from /proc/cmdline. Each tick is one sleep of 1/hz, so the rate is a little less.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/reboot.h>
#include <time.h>
#include <unistd.h>

#include "../chain.h"

static void write_whole(int to, const char *text, unsigned bytes) {
    while (bytes) {
        ssize_t n = write(to, text, bytes);
        if (n <= 0)
            exit(1);
        text += n, bytes -= (unsigned)n;
    }
}

/* The kernel does not run this program's exit path in any of the three: they take effect at once. */
static void end_if_due(const char *line, uint64_t tick) {
    uint32_t now = (uint32_t)tick;
    if (now == option(line, "poweroff", 0))
        reboot(RB_POWER_OFF);
    if (now == option(line, "reset", 0))
        reboot(RB_AUTOBOOT);
    if (now == option(line, "crash", 0)) {
        int trigger = open("/proc/sysrq-trigger", O_WRONLY | O_CLOEXEC);
        if (trigger >= 0)
            write_whole(trigger, "c", 1);
    }
}

int main(void) {
    static char line[4096];
    int file = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
    ssize_t n = file < 0 ? -1 : read(file, line, sizeof line - 1);
    if (n < 0) {
        perror("/proc/cmdline");
        return 1;
    }
    close(file);
    line[strcspn(line, "\n")] = 0;
    uint32_t mib = option(line, "mb", 32), hz = option(line, "hz", 100), every = option(line, "every", 1);
    if (mib == 0 || hz == 0 || every == 0) {
        fprintf(stderr, "chain: mb=, hz= and every= must be at least 1\n");
        return 1;
    }
    void *arena = mmap(NULL, (size_t)mib << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (arena == MAP_FAILED) {
        perror("mmap of the arena");
        return 1;
    }
    struct chain chain = {
        .arena = arena,
        .pageCount = mib * 256,
        .pagesPerTick = option(line, "pages", 20),
        .sweepPages = option(line, "sweep", 16),
    };
    chain_begin(&chain);
    struct timespec pause = {hz == 1, 1000000000 / hz % 1000000000};
    for (;;) {
        char text[64];
        nanosleep(&pause, NULL);
        chain_tick(&chain);
        if (chain.tick % every == 0)
            write_whole(1, text, chain_line(&chain, text));
        end_if_due(line, chain.tick);
    }
}
