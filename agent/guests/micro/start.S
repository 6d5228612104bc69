# Entry of the micro guest: multiboot version 1 (https://www.gnu.org/software/grub/manual/multiboot/multiboot.html), which
# `qemu -kernel` loads by itself. The loader leaves flat 32-bit protected mode without paging, interrupts off, eax = magic, ebx = information.

        .set    ALIGNED_AND_MEMORY, 3                   # page-aligned modules, memory size wanted
        .set    MAGIC, 0x1BADB002

        .section .multiboot, "a"
        .align  4
        .long   MAGIC, ALIGNED_AND_MEMORY, -(MAGIC + ALIGNED_AND_MEMORY)

        .text
        .globl  _start
_start: cli
        cld
        movl    $stack_end, %esp
        lgdt    gdt_register                            # the loader's own table is not ours to rely on
        ljmp    $8, $1f
1:      movl    $16, %ecx
        movl    %ecx, %ds
        movl    %ecx, %es
        movl    %ecx, %fs
        movl    %ecx, %gs
        movl    %ecx, %ss
        pushl   %ebx
        pushl   %eax
        call    run
2:      cli
        hlt
        jmp     2b

# The timer's interrupt only ends a hlt: acknowledge it and return.
        .globl  timer_interrupt
timer_interrupt:
        pushl   %eax
        incl    timer_interrupts
        movb    $0x20, %al
        outb    %al, $0x20
        popl    %eax
        iret

# A spurious interrupt (IRQ 7) needs no acknowledgement.
        .globl  spurious_interrupt
spurious_interrupt:
        iret

        .section .rodata
        .align  8
gdt:    .quad   0
        .quad   0x00CF9A000000FFFF                      # code, base 0, 4 GiB
        .quad   0x00CF92000000FFFF                      # data, base 0, 4 GiB
gdt_register:
        .word   . - gdt - 1
        .long   gdt

        .bss
        .align  16
        .skip   16384
stack_end:

        .section .note.GNU-stack, "", @progbits
