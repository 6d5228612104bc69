/*
 * Memory to break:   page hold COUNT   prints the physical addresses of so many pages of its own, and keeps them until it is killed.
 *                    page poison       tells the kernel that a page of its own has lost its data, and prints the page's physical address.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE_BYTES 4096
#define FRAME_MASK ((1ull << 55) - 1)

static uint64_t physical_address(int frames, const void *page) {
    uint64_t entry;
    if (pread(frames, &entry, sizeof entry, (off_t)((uintptr_t)page / PAGE_BYTES * sizeof entry)) != sizeof entry)
        exit(2);
    return (entry & FRAME_MASK) * PAGE_BYTES;
}

int main(int count, char **argument) {
    size_t pages = count == 3 && !strcmp(argument[1], "hold") ? strtoul(argument[2], NULL, 10) : 1;
    /* Locked, so that each page stays where it is. */
    unsigned char *page = mmap(NULL, pages * PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED, -1, 0);
    int frames = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    if (count < 2 || page == MAP_FAILED || frames < 0)
        return 2;
    for (size_t p = 0; p < pages; p++) {
        page[p * PAGE_BYTES] = 1;
        printf("%llx\n", (unsigned long long)physical_address(frames, page + p * PAGE_BYTES));
    }
    fflush(stdout);
    if (!strcmp(argument[1], "hold"))
        for (;;)
            pause();
    if (madvise(page, PAGE_BYTES, MADV_HWPOISON)) {
        perror("page: poison");
        return 1;
    }
    return 0;
}
