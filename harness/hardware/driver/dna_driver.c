/* See dna_driver.h. */
#include "dna_driver.h"

#include <string.h>

static uint32_t get(const struct dna *dna, uint32_t offset)
{
    return dna->bus->read(dna->bus->context, offset);
}

static void put(const struct dna *dna, uint32_t offset, uint32_t value)
{
    dna->bus->write(dna->bus->context, offset, value);
}

static void idle(const struct dna *dna)
{
    if (dna->bus->idle)
        dna->bus->idle(dna->bus->context);
}

static enum dna_result state(const struct dna *dna)
{
    uint32_t status = get(dna, DNA_STATUS);
    if (status & DNA_STATUS_BUSY)
        return DNA_BUSY;
    return status & DNA_STATUS_ERROR ? DNA_STOPPED : DNA_OK;
}

enum dna_result dna_open(struct dna *dna, const struct dna_bus *bus,
                         const struct dna_program *program, uint64_t window_address,
                         uint32_t watchdog)
{
    enum dna_result found;

    dna->bus = bus;
    if (get(dna, DNA_ID) != DNA_ID_RESET)
        return DNA_NO_MACHINE;
    if (get(dna, DNA_VERSION) != program->isa_version)
        return DNA_OTHER_VERSION;
    if (get(dna, DNA_CONFIG_LOW) != program->config_low ||
        get(dna, DNA_CONFIG_HIGH) != program->config_high)
        return DNA_OTHER_CONFIG;
    /* The registers of the window are locked while a program runs or a fault stands. */
    found = state(dna);
    if (found != DNA_OK)
        return found;
    put(dna, DNA_WINDOW_BASE_LOW, (uint32_t)window_address);
    put(dna, DNA_WINDOW_BASE_HIGH, (uint32_t)(window_address >> 32));
    put(dna, DNA_WINDOW_SIZE, program->window_size);
    put(dna, DNA_WRITE_BASE, program->write_offset);
    put(dna, DNA_WRITE_SIZE, program->write_size);
    put(dna, DNA_PROGRAM, program->program_offset);
    put(dna, DNA_WATCHDOG, watchdog);
    put(dna, DNA_INTERRUPT_ENABLE, DNA_INTERRUPT_ENDED | DNA_INTERRUPT_FAULT);
    return DNA_OK;
}

enum dna_result dna_start(struct dna *dna)
{
    enum dna_result found = state(dna);
    if (found == DNA_OK)
        put(dna, DNA_CONTROL, DNA_CONTROL_START);
    return found;
}

enum dna_result dna_wait(struct dna *dna, uint32_t looks)
{
    while (looks--) {
        if (get(dna, DNA_INTERRUPT)) {
            dna_acknowledge(dna);
            return state(dna);
        }
        idle(dna);
    }
    return DNA_TIMEOUT;
}

uint32_t dna_acknowledge(struct dna *dna)
{
    uint32_t events = get(dna, DNA_INTERRUPT);
    put(dna, DNA_INTERRUPT, events);
    return events;
}

uint32_t dna_fault(struct dna *dna, uint32_t *address)
{
    *address = get(dna, DNA_ERROR_ADDRESS);
    return get(dna, DNA_ERROR_CODE);
}

enum dna_result dna_reset(struct dna *dna, int force, uint32_t looks)
{
    put(dna, DNA_CONTROL, force ? DNA_CONTROL_FORCE : DNA_CONTROL_RESET);
    while (looks--) {
        if (!(get(dna, DNA_STATUS) & DNA_STATUS_BUSY))
            return DNA_OK;
        idle(dna);
    }
    return DNA_TIMEOUT;
}

uint64_t dna_cycles(struct dna *dna)
{
    uint64_t high = get(dna, DNA_CYCLES_HIGH);
    return high << 32 | get(dna, DNA_CYCLES_LOW);
}

void dna_write_input(const struct dna_program *program, uint8_t *window, const int8_t *pixels)
{
    const struct dna_map *map = &program->input;
    for (uint32_t y = 0; y < map->height; y++)
        for (uint32_t x = 0; x < map->width; x++, pixels += map->channels)
            memcpy(window + map->offset + (size_t)y * map->pitch + (size_t)x * map->pixel_bytes,
                   pixels, map->channels);
}

void dna_read_output(const struct dna_program *program, const uint8_t *window, uint32_t number,
                     int8_t *values)
{
    const struct dna_map *map = &program->outputs[number];
    for (uint32_t y = 0; y < map->height; y++)
        for (uint32_t x = 0; x < map->width; x++, values += map->channels)
            memcpy(values,
                   window + map->offset + (size_t)y * map->pitch + (size_t)x * map->pixel_bytes,
                   map->channels);
}
