// MemoryPorts for Python, which puts the declarations of sim/memory/ports.py in front.

#include "ports.h"

extern "C" {

MemoryPorts *dna_open(const MemoryTiming *timing, size_t ports, size_t readers, uint64_t bytes) {
    return new MemoryPorts(*timing, ports, 0, readers, bytes);
}

void dna_offer(MemoryPorts *memory, PortState *states) {
    memory->offer();
    for (size_t number = 0; number < memory->size(); number++) {
        const MemoryPort &port = (*memory)[number];
        states[number] = {port.arready, port.awready, port.wready,        port.rvalid,
                          port.bvalid,  port.rlast,   uint32_t(port.rid), port.raddress};
    }
}

void dna_read(MemoryPorts *memory, size_t port, int id, uint64_t address, uint64_t words) {
    (*memory)[port].read(id, address, words);
}

void dna_write(MemoryPorts *memory, size_t port, uint64_t address, uint64_t words) {
    (*memory)[port].write(address, words);
}

void dna_write_word(MemoryPorts *memory, size_t port) { (*memory)[port].write_word(); }

void dna_take(MemoryPorts *memory, size_t port, int rready, int bready) {
    (*memory)[port].take(rready, bready);
}

void dna_close(MemoryPorts *memory) { delete memory; }
}
