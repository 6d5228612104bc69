/*
 * Loads on the guest's memory and disks for the hazard tests, each of which must leave the chain and every page intact:
 *   load read DEVICE    reads the disk with O_DIRECT as fast as it can, several requests deep (processes), into memory that it also writes
 *   load hog MIB        fills pages with random content without end
 *   load churn MIB      ten times a second: takes so much memory, fills it, looks at it again, gives it back; ends if it is not as it was
 *   load disk DEVICE    writes and reads back sectors in runs of random length and place, each carrying its number and how often it was
 *                       written; says "MISMATCH" and ends if a sector is older or newer than memory says, "disk N right" now and then
 * Prints "load NAME up" once it runs.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define READERS 4
#define READ_BYTES 262144
/* 4 readers × 64 buffers × 256 KiB = 64 MiB of memory as targets of DMA. */
#define BUFFERS 64

static uint64_t random_state = 88172645463325252ull;

static uint64_t next_random(void) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    return random_state ^= random_state << 17;
}

static void *memory(size_t bytes) {
    void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) {
        perror("load: mmap");
        exit(1);
    }
    return at;
}

static void read_disk(const char *device, unsigned reader) {
    int disk = open(device, O_RDONLY | O_DIRECT | O_CLOEXEC);
    off_t bytes = disk < 0 ? -1 : lseek(disk, 0, SEEK_END);
    if (bytes < READ_BYTES) {
        perror(device);
        exit(1);
    }
    char *buffers = memory((size_t)BUFFERS * READ_BYTES);
    random_state += reader;
    for (;;) {
        char *to = buffers + next_random() % BUFFERS * READ_BYTES;
        off_t from = (off_t)(next_random() % (uint64_t)(bytes / READ_BYTES)) * READ_BYTES;
        if (pread(disk, to, READ_BYTES, from) != READ_BYTES) {
            perror("load: read");
            exit(1);
        }
        to[next_random() % READ_BYTES] ^= 1;
    }
}

static void hog(size_t mib) {
    size_t words = mib << 17;
    uint64_t *at = memory(words * 8);
    for (size_t w = 0;; w = (w + 1) % words)
        at[w] = next_random();
}

static void churn(size_t mib) {
    size_t words = mib << 17;
    for (;;) {
        uint64_t *at = memory(words * 8);
        uint64_t first = random_state;
        for (size_t w = 0; w < words; w++)
            at[w] = next_random();
        usleep(50000);
        random_state = first;
        for (size_t w = 0; w < words; w++)
            if (at[w] != next_random()) {
                printf("load: word %zu is not as it was, tick lost\n", w);
                exit(1);
            }
        munmap(at, words * 8);
        usleep(50000);
    }
}

#define SECTOR_BYTES 512
#define SECTORS 16384u
#define RUN_SECTORS_MAX 24u
#define SAY_EVERY 100

static void check_disk(const char *device) {
    int disk = open(device, O_RDWR | O_DIRECT | O_DSYNC | O_CLOEXEC);
    uint64_t *run = memory(RUN_SECTORS_MAX * SECTOR_BYTES);
    uint32_t *written = memory(SECTORS * sizeof *written);
    if (disk < 0) {
        perror(device);
        exit(1);
    }
    for (unsigned long step = 1;; step++) {
        uint32_t length = 1 + (uint32_t)(next_random() % RUN_SECTORS_MAX);
        uint32_t first = (uint32_t)(next_random() % (SECTORS - length));
        size_t bytes = (size_t)length * SECTOR_BYTES;
        if (pread(disk, run, bytes, (off_t)first * SECTOR_BYTES) != (ssize_t)bytes) {
            perror("load: read");
            exit(1);
        }
        for (uint32_t s = 0; s < length; s++) {
            uint64_t *sector = run + s * (SECTOR_BYTES / 8);
            uint64_t number = written[first + s] ? first + s : 0;
            if (sector[0] != number || sector[1] != written[first + s] || sector[63] != written[first + s]) {
                printf("load: MISMATCH sector %u was written %llu times, memory says %u, tick lost\n", first + s,
                       (unsigned long long)sector[1], written[first + s]);
                exit(1);
            }
            for (unsigned w = 1; w < SECTOR_BYTES / 8; w++)
                sector[w] = written[first + s] + 1;
            sector[0] = first + s;
        }
        if (pwrite(disk, run, bytes, (off_t)first * SECTOR_BYTES) != (ssize_t)bytes) {
            perror("load: write");
            exit(1);
        }
        for (uint32_t s = 0; s < length; s++)
            written[first + s]++;
        if (step % SAY_EVERY == 0) {
            printf("disk %lu right\n", step);
            fflush(stdout);
        }
    }
}

int main(int count, char **argument) {
    if (count != 3)
        return 2;
    printf("load %s up\n", argument[1]);
    fflush(stdout);
    if (!strcmp(argument[1], "read")) {
        for (unsigned reader = 1; reader < READERS; reader++)
            if (fork() == 0)
                read_disk(argument[2], reader);
        read_disk(argument[2], 0);
    }
    if (!strcmp(argument[1], "hog"))
        hog((size_t)atoi(argument[2]));
    if (!strcmp(argument[1], "disk"))
        check_disk(argument[2]);
    if (!strcmp(argument[1], "churn"))
        churn((size_t)atoi(argument[2]));
    return 2;
}
