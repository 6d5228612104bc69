/*
 * The hash chain that both guests run, and that io.lockstep.agent.demo.HashChain recomputes from the tick's number alone.
 *
 * Invariants:
 *   The state after tick N is a function of (pageCount, sweepPages, N) and of nothing else.
 *   Every tick reads what earlier ticks wrote, so a page that was lost, or is older or newer than the rest, breaks every state after the
 *   tick that reads it; and the sweep reads every page of the arena once in pageCount / sweepPages ticks.
 *
 * Only shifts, additions and 32-bit remainders: a freestanding 32-bit build needs no library for them.
 */
#ifndef LOCKSTEP_CHAIN_H
#define LOCKSTEP_CHAIN_H

#include <stdint.h>

#define PAGE_BYTES 4096u
#define PAGE_WORDS (PAGE_BYTES / 8)
#define FIRST_STATE 0x9E3779B97F4A7C15ull
#define FILL_FACTOR 0xD1342543DE82EF95ull

struct chain {
    uint64_t *arena; /* pageCount pages, page-aligned */
    uint32_t pageCount;
    uint32_t pagesPerTick; /* written in each tick, chosen by the state */
    uint32_t sweepPages;   /* read whole in each tick, in turn */
    uint32_t sweepNext;
    uint64_t state;
    uint64_t tick;
};

static inline uint64_t rotate(uint64_t value, unsigned bits) {
    return value << bits | value >> (64 - bits);
}

/* Gives every page content of its own, so that no page of the arena is a zero page. */
static void chain_begin(struct chain *c) {
    for (uint32_t p = 0; p < c->pageCount; p++)
        for (uint32_t w = 0; w < PAGE_WORDS; w++)
            c->arena[(uint64_t)p * PAGE_WORDS + w] = (p + 1) * FILL_FACTOR + w;
    c->sweepNext = 0;
    c->state = FIRST_STATE;
    c->tick = 0;
}

static void chain_tick(struct chain *c) {
    uint64_t s = c->state;
    c->tick++;
    for (uint32_t i = 0; i < c->pagesPerTick; i++) {
        s ^= s << 13;
        s ^= s >> 7;
        s ^= s << 17;
        uint64_t *page = c->arena + (uint64_t)((uint32_t)(s >> 32) % c->pageCount) * PAGE_WORDS;
        uint32_t word = (uint32_t)s & (PAGE_WORDS - 1);
        s += rotate(page[0], 21) ^ page[word];
        page[0] = s;
        page[word] = s ^ c->tick;
    }
    for (uint32_t i = 0; i < c->sweepPages; i++) {
        const uint64_t *page = c->arena + (uint64_t)c->sweepNext * PAGE_WORDS;
        uint64_t sum = 0;
        for (uint32_t w = 0; w < PAGE_WORDS; w++)
            sum = rotate(sum, 5) + page[w];
        s ^= sum;
        c->sweepNext = c->sweepNext + 1 == c->pageCount ? 0 : c->sweepNext + 1;
    }
    c->state = s;
}

/* Finds "name=number" in a command line; the number is decimal. */
static uint32_t option(const char *line, const char *name, uint32_t otherwise) {
    for (const char *at = line; *at; at++) {
        if (at != line && at[-1] != ' ')
            continue;
        const char *a = at, *n = name;
        while (*n && *a == *n)
            a++, n++;
        if (*n || *a != '=')
            continue;
        uint32_t value = 0;
        for (a++; *a >= '0' && *a <= '9'; a++)
            value = value * 10 + (uint32_t)(*a - '0');
        return value;
    }
    return otherwise;
}

/* Writes "tick N state H\n" and returns its length; the buffer holds at least 64 bytes. */
static unsigned chain_line(const struct chain *c, char *out) {
    static const char digits[] = "0123456789abcdef";
    char number[10];
    unsigned at = 0, n = 0;
    /* A run of 2^32 ticks takes more than a year. */
    for (uint32_t t = (uint32_t)c->tick; n == 0 || t; t /= 10)
        number[n++] = digits[t % 10];
    for (const char *s = "tick "; *s;)
        out[at++] = *s++;
    while (n)
        out[at++] = number[--n];
    for (const char *s = " state "; *s;)
        out[at++] = *s++;
    for (int shift = 60; shift >= 0; shift -= 4)
        out[at++] = digits[c->state >> shift & 15];
    out[at++] = '\n';
    return at;
}

#endif
