/* Driver of an open DNA: what a host does to run a compiled program.
 *
 * C99, no allocation, no operating system. dna_registers.h comes with it (dna rtl), dna_program.h
 * and dna_memory.bin come with a compiled network (dna pack).
 *
 *     struct dna dna;
 *     copy dna_memory.bin to the window, once
 *     dna_open(&dna, &bus, &dna_program, window_address, DNA_WATCHDOG_CYCLES)
 *     for each image:
 *         dna_write_input(&dna_program, window, pixels)
 *         clean the data cache over the window's input
 *         dna_start(&dna)
 *         dna_wait(&dna, polls)
 *         invalidate the data cache over the window's output
 *         dna_read_output(&dna_program, window, 0, logits)
 *
 * Caches: the machine reads and writes memory by its own ports and sees no cache of the host. What
 * the host wrote must be in memory before dna_start; lines of the output that are in a cache must
 * go before it is read. A window that is mapped uncached needs neither. bus.write must not return
 * before the write has reached the machine, nor be reordered with writes to the window.
 */
#ifndef DNA_DRIVER_H
#define DNA_DRIVER_H

#include <stddef.h>
#include <stdint.h>

#include "dna_registers.h"

/* How registers are reached. The offset is in bytes from the machine's first register. */
struct dna_bus {
    void *context;
    uint32_t (*read)(void *context, uint32_t offset);
    void (*write)(void *context, uint32_t offset, uint32_t value);
    void (*idle)(void *context); /* between two looks at a machine that runs; may be NULL */
};

/* A feature map in the window: pixel (y, x) is at offset + y * pitch + x * pixel_bytes. */
struct dna_map {
    uint32_t offset, height, width, channels, pitch, pixel_bytes;
};

/* A compiled program; dna_program.h defines one. Offsets are bytes of the memory window. */
struct dna_program {
    uint32_t isa_version;
    uint32_t config_low, config_high; /* digest of the configuration */
    uint32_t window_size;
    uint32_t write_offset, write_size; /* all that the machine writes */
    uint32_t program_offset;
    uint32_t images; /* of a run, one below the other in both maps */
    struct dna_map input;
    const struct dna_map *outputs;
    uint32_t output_count;
};

enum dna_result {
    DNA_OK = 0,
    DNA_NO_MACHINE,    /* the registers are not those of a DNA */
    DNA_OTHER_VERSION, /* of the instruction set: compile the network again */
    DNA_OTHER_CONFIG,  /* the program is for another configuration */
    DNA_BUSY,          /* a program runs */
    DNA_STOPPED,       /* by a fault: dna_fault says which, dna_reset puts it back to work */
    DNA_TIMEOUT        /* it neither ended nor stopped */
};

struct dna {
    const struct dna_bus *bus;
};

/* Check that the machine is the program's, and tell it where everything is. window_address is the
 * window's address as the machine's ports see it, a multiple of 4096 and of
 * dram_ports * port_granule_bytes. watchdog: cycles without progress that count as a hang, 0: never.
 */
enum dna_result dna_open(struct dna *dna, const struct dna_bus *bus,
                         const struct dna_program *program, uint64_t window_address,
                         uint32_t watchdog);

/* Start the program; returns at once. */
enum dna_result dna_start(struct dna *dna);

/* Wait for the end: look `looks` times, idle() between them, then DNA_TIMEOUT. */
enum dna_result dna_wait(struct dna *dna, uint32_t looks);

/* For an interrupt handler: the events that there were (bits of `interrupt`), now cleared. */
uint32_t dna_acknowledge(struct dna *dna);

/* Why the machine stopped, an enum dna_fault; what *address counts depends on it. */
uint32_t dna_fault(struct dna *dna, uint32_t *address);

/* Back to work after a fault. Registers and memory stay. With force at once, for a bus that hangs
 * and is reset too; without when all transfers have ended. */
enum dna_result dna_reset(struct dna *dna, int force, uint32_t looks);

/* Cycles of the last run from start to interrupt. */
uint64_t dna_cycles(struct dna *dna);

/* int8 [images][height][width][channels] into the window, which begins at `window` for the host. */
void dna_write_input(const struct dna_program *program, uint8_t *window, const int8_t *pixels);

/* The output with this number out of the window: int8 [images][height][width][channels]. */
void dna_read_output(const struct dna_program *program, const uint8_t *window, uint32_t number,
                     int8_t *values);

#endif
