/* A process for the kernel tests: maps memory and does to it what it is told on standard input, one command a line, one answer each. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096UL
static char *area;
static unsigned long pages;
static int file = -1;
static volatile int signals;
static volatile int random_run;
static unsigned char *written;          /* one byte a page: written at least once since "forget" */

static void on_signal(int number) { (void)number; signals++; }

static void *sleeper(void *unused) {
    for (;;) pause();
    return unused;
}

/* Writes pages at random for ever, recording each in the shared area before it is written. */
static void *scribbler(void *seed_value) {
    uint64_t seed = (uint64_t)(uintptr_t)seed_value;
    while (random_run) {
        seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
        unsigned long page = (seed >> 33) % pages;
        written[page] = 1;
        __sync_synchronize();
        (*(volatile uint64_t *)(area + page * PAGE))++;
        if ((seed >> 20 & 63) == 0) usleep(50);
    }
    return NULL;
}

int main(int argc, char **argv) {
    char line[512], kind[16], path[400];
    unsigned long a, b;
    pthread_t thread, scribble = 0;
    /* The work is done by a grandchild of the tests' JVM: of a child that is traced the JVM would believe that it has ended.
       Not so with the argument "child". */
    int child = argc > 1 && !strcmp(argv[1], "child");
    pid_t worker = child ? 0 : fork();
    if (worker > 0) return waitpid(worker, NULL, 0) < 0;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    pthread_create(&thread, NULL, sleeper, NULL);
    printf("%d\n", getpid());
    fflush(stdout);
    signal(SIGUSR1, on_signal);
    setvbuf(stdout, NULL, _IOLBF, 0);
    while (fgets(line, sizeof line, stdin)) {
        if (sscanf(line, "map %15s %lu %399s", kind, &pages, path) >= 2) {
            if (!strcmp(kind, "private")) {
                area = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
            } else {
                file = !strcmp(kind, "file") ? open(path, O_RDWR | O_CREAT, 0600) : memfd_create("area", 0);
                if (file < 0 || ftruncate(file, (off_t)(pages * PAGE))) { perror("file"); return 1; }
                area = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
            }
            if (area == MAP_FAILED) { perror("mmap"); return 1; }
            madvise(area, pages * PAGE, MADV_NOHUGEPAGE);
            printf("%lu %d\n", (unsigned long)area, file);
        } else if (sscanf(line, "write %lu %lu", &a, &b) == 2) {
            memset(area + a * PAGE, (int)(b & 255), PAGE);
            puts("ok");
        } else if (sscanf(line, "touch %lu %lu", &a, &b) == 2) {
            for (unsigned long i = a; i < a + b; i++) area[i * PAGE]++;
            puts("ok");
        } else if (sscanf(line, "sum %lu", &a) == 1) {
            uint64_t sum = 0;
            for (unsigned long i = 0; i < PAGE; i++) sum += (unsigned char)area[a * PAGE + i];
            printf("%lu\n", (unsigned long)sum);
        } else if (!strncmp(line, "huge", 4)) {
            printf("%d\n", madvise(area, pages * PAGE, MADV_HUGEPAGE) ? errno : 0);
        } else if (sscanf(line, "punch %lu %lu", &a, &b) == 2) {
            printf("%d\n", fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)(a * PAGE), (off_t)(b * PAGE)) ? errno : 0);
        } else if (sscanf(line, "discard %lu %lu", &a, &b) == 2) {
            printf("%d\n", madvise(area + a * PAGE, b * PAGE, MADV_DONTNEED) ? errno : 0);
        } else if (sscanf(line, "read %lu %399s", &a, path) == 2 || sscanf(line, "direct %lu %399s", &a, path) == 2) {
            int fd = open(path, O_RDONLY | (line[0] == 'd' ? O_DIRECT : 0));
            ssize_t n = fd < 0 ? -1 : read(fd, area + a * PAGE, PAGE);
            printf("%ld %d\n", (long)n, n < 0 ? errno : 0);
            if (fd >= 0) close(fd);
        } else if (sscanf(line, "pipe %lu %399s", &a, path) == 2) {
            /* Writes a bytes to a pipe, closes it, and then marks the first byte of page 0. */
            int fd = open(path, O_WRONLY);
            unsigned long left = a;
            while (fd >= 0 && left > 0) {
                ssize_t n = write(fd, area + PAGE, left < PAGE ? left : PAGE);
                if (n <= 0) break;
                left -= (unsigned long)n;
            }
            close(fd);
            area[0] = 77;
            printf("%lu\n", left);
        } else if (sscanf(line, "scribble %lu", &a) == 1) {
            if (!written) {
                written = mmap(NULL, pages, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
                if (written == MAP_FAILED) { perror("mmap"); return 1; }
            }
            random_run = 1;
            pthread_create(&scribble, NULL, scribbler, (void *)(uintptr_t)a);
            puts("ok");
        } else if (!strncmp(line, "rest", 4)) {
            random_run = 0;
            if (scribble) pthread_join(scribble, NULL);
            scribble = 0;
            puts("ok");
        } else if (!strncmp(line, "forget", 6)) {
            memset(written, 0, pages);
            puts("ok");
        } else if (!strncmp(line, "list", 4)) {
            for (unsigned long i = 0; i < pages; i++) if (written && written[i]) printf("%lu ", i);
            puts("");
        } else if (!strncmp(line, "signals", 7)) {
            printf("%d\n", signals);
        } else if (!strncmp(line, "fds", 3)) {
            int count = 0;
            for (int i = 0; i < 1024; i++) if (fcntl(i, F_GETFD) >= 0) count++;
            printf("%d\n", count);
        } else {
            printf("unknown command: %s", line);
        }
    }
    return 0;
}
