/*
 * The micro guest: runs the hash chain at a steady rate and prints "tick N state H" on COM1.
 *
 * Options on the command line (-append), all decimal:
 *   mb=32     size of the arena, MiB            pages=20   pages written per tick
 *   sweep=16  pages read whole per tick         hz=100     ticks per second, 19 to 1000; 0: as many as there can be
 *   every=1   print every so many ticks         poweroff=0, reset=0, crash=0: do so after that many ticks, 0 is never
 *   vram=0    pages of the VGA card's frame buffer, of which each tick fills the next
 *
 * Between ticks the processor halts until the programmable interval timer's interrupt, so an idle guest costs the host nothing.
 */
#include "../chain.h"

#define MULTIBOOT_MAGIC 0x2BADB002u
#define HAS_MEMORY 1u
#define HAS_COMMAND_LINE 4u
#define COM1 0x3F8
#define ARENA 0x400000u /* 4 MiB: above the image and the loader's information */
#define PIT_HZ 1193182u

struct multiboot {
    uint32_t flags, memoryLowerKib, memoryUpperKib, bootDevice;
    const char *commandLine;
};

struct gate {
    uint16_t offsetLow, selector, type, offsetHigh;
} __attribute__((packed));

extern char image_end[];
extern void timer_interrupt(void), spurious_interrupt(void);
volatile uint32_t timer_interrupts;
static struct gate gates[48];

static inline void out8(uint16_t port, uint8_t value) {
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline void out16(uint16_t port, uint16_t value) {
    __asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port));
}

static inline void out32(uint16_t port, uint32_t value) {
    __asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint32_t in32(uint16_t port) {
    uint32_t value;
    __asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline uint8_t in8(uint16_t port) {
    uint8_t value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

/* gcc makes calls of these from plain loops. */
void *memset(void *to, int value, uint32_t bytes) {
    char *at = to;
    while (bytes--)
        *at++ = (char)value;
    return to;
}

static void serial_begin(void) {
    out8(COM1 + 1, 0);    /* no interrupts: output is polled */
    out8(COM1 + 3, 0x80); /* divisor 1: 115,200 baud */
    out8(COM1 + 0, 1);
    out8(COM1 + 1, 0);
    out8(COM1 + 3, 3); /* 8 data bits, no parity, 1 stop bit */
    out8(COM1 + 2, 7); /* FIFOs on and empty */
}

static void print(const char *text, unsigned bytes) {
    while (bytes--) {
        while (!(in8(COM1 + 5) & 0x20))
            ;
        out8(COM1, (uint8_t)*text++);
    }
}

static void say(const char *text) {
    unsigned bytes = 0;
    while (text[bytes])
        bytes++;
    print(text, bytes);
}

static void gate(unsigned vector, void (*handler)(void)) {
    uint32_t at = (uint32_t)handler;
    gates[vector] = (struct gate){(uint16_t)at, 8, 0x8E00, (uint16_t)(at >> 16)};
}

static void timer_begin(uint32_t hz) {
    uint32_t divisor = PIT_HZ / hz;
    gate(32, timer_interrupt);
    gate(39, spurious_interrupt);
    struct {
        uint16_t limit;
        uint32_t base;
    } __attribute__((packed)) idt = {sizeof gates - 1, (uint32_t)gates};
    __asm__ volatile("lidt %0" : : "m"(idt));
    out8(0x20, 0x11), out8(0x21, 32), out8(0x21, 4), out8(0x21, 1); /* first 8259: vectors from 32 */
    out8(0xA0, 0x11), out8(0xA1, 40), out8(0xA1, 2), out8(0xA1, 1);
    out8(0x21, 0xFE), out8(0xA1, 0xFF); /* only the timer */
    out8(0x43, 0x34);                   /* channel 0, rate generator */
    out8(0x40, (uint8_t)divisor), out8(0x40, (uint8_t)(divisor >> 8));
}

/* Waits for the next timer interrupt; sti takes effect after hlt has begun, so that none is missed between the two. */
static void await_timer(void) {
    uint32_t seen = timer_interrupts;
    while (timer_interrupts == seen)
        __asm__ volatile("sti; hlt; cli" : : : "memory");
}

static void stop_for_good(void) {
    for (;;)
        __asm__ volatile("cli; hlt");
}

/* A register of a device on PCI bus 0. */
static uint32_t pci(uint32_t device, uint32_t offset) {
    out32(0xCF8, 0x80000000u | device << 11 | offset);
    return in32(0xCFC);
}

/* Where the firmware has put the first region of the first VGA card: its frame buffer; null if there is none. */
static uint64_t *frame_buffer(void) {
    for (uint32_t device = 0; device < 32; device++)
        if (pci(device, 8) >> 16 == 0x0300)
            return (uint64_t *)(pci(device, 0x10) & ~15u);
    return 0;
}

static void end_if_due(const char *line, uint64_t tick) {
    uint32_t now = (uint32_t)tick;
    if (now == option(line, "poweroff", 0)) {
        out16(0x604, 0x2000); /* ACPI PM1a control of QEMU's pc and q35: sleep type 5 (off) with the enable bit */
        stop_for_good();
    }
    if (now == option(line, "reset", 0)) {
        out8(0x64, 0xFE); /* keyboard controller: pulse the reset line */
        stop_for_good();
    }
    if (now == option(line, "crash", 0)) {
        out8(0x505, 1); /* the pvpanic device, if there is one */
        stop_for_good();
    }
}

void run(uint32_t magic, const struct multiboot *info) {
    serial_begin();
    if (magic != MULTIBOOT_MAGIC || (info->flags & (HAS_MEMORY | HAS_COMMAND_LINE)) != (HAS_MEMORY | HAS_COMMAND_LINE)) {
        say("micro: not loaded by a multiboot loader that gives memory size and command line\n");
        return;
    }
    const char *line = info->commandLine;
    uint32_t mib = option(line, "mb", 32), hz = option(line, "hz", 100), every = option(line, "every", 1);
    if (mib == 0 || 1024 + info->memoryUpperKib < ARENA / 1024 + mib * 1024 || (uint32_t)image_end > ARENA) {
        say("micro: the arena (mb=) does not fit into memory, which needs 4 MiB more\n");
        return;
    }
    if ((hz && hz < 19) || hz > 1000 || every == 0) {
        say("micro: hz= must be 0 or 19 to 1000, every= at least 1\n");
        return;
    }
    struct chain chain = {
        .arena = (uint64_t *)ARENA,
        .pageCount = mib * 256,
        .pagesPerTick = option(line, "pages", 20),
        .sweepPages = option(line, "sweep", 16),
    };
    uint32_t vram = option(line, "vram", 0);
    uint64_t *screen = vram ? frame_buffer() : 0;
    if (vram && !screen) {
        say("micro: there is no VGA card for vram=\n");
        return;
    }
    say("micro: up\n");
    chain_begin(&chain);
    if (hz)
        timer_begin(hz);
    for (;;) {
        char text[64];
        if (hz)
            await_timer();
        chain_tick(&chain);
        if ((uint32_t)chain.tick % every == 0)
            print(text, chain_line(&chain, text));
        if (vram)
            for (uint32_t w = 0; w < PAGE_WORDS; w++)
                screen[(uint32_t)chain.tick % vram * PAGE_WORDS + w] = chain.state + w;
        end_if_due(line, chain.tick);
    }
}
