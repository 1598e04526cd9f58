// The machine's driver, and what its registers or memories hold.
//
// Compiled with the untransformed design (DNA_WAVES), which knows names, or with the declarations of
// the transformed one and a table of its state, in the order of the names:
//     template<class Put> void dna_registers(const cxxrtl_design::p_top &, const DnaGroups &, Put);
//     template<class Put> void dna_memories(const cxxrtl_design::p_top &, Put);

#include <algorithm>
#include <chrono>
#include <map>
#include <string>
#include <vector>
#define private public
#include <engines/cxxrtl.cc>
#undef private

#ifdef DNA_WAVES
using Item = cxxrtl::debug_item;

static const Item *dna_find(const Design &design, const char *name) {
    auto found = design.items.table.find(name);
    return found == design.items.table.end() ? nullptr : &found->second.at(0);
}

// Whether `name` is a register: its place, or that of the wire it is another name of, is one that
// the clock drives.
extern "C" int dna_is_register(const Machine *machine, const char *name) {
    const Item *item = dna_find(machine->design, name);
    if (item == nullptr)
        return 0;
    for (const auto &[_, parts] : machine->design.items.table)
        for (const Item &part : parts)
            if (part.curr == item->curr && part.type == Item::WIRE)
                return (part.flags & Item::DRIVEN_SYNC) != 0;
    return 0;
}

// How many registers there are.
extern "C" int dna_registers(const Machine *machine) {
    int count = 0;
    for (const auto &[_, parts] : machine->design.items.table)
        for (const Item &part : parts)
            count += part.type == Item::WIRE && (part.flags & Item::DRIVEN_SYNC) != 0;
    return count;
}

extern "C" void dna_state_of(Machine *machine, int, const char *const *names, size_t count,
                             uint32_t *to) {
    // Ports of the design are copies of registers. Without an edge only they are computed anew.
    cxxrtl_design::p_top &top = machine->design.top;
    top.prev_p_clk = top.p_clk;
    top.eval();
    for (size_t i = 0; i < count; i++) {
        const Item *item = dna_find(machine->design, names[i]);
        size_t words = (item->width + 31) / 32 * (item->type == Item::MEMORY ? item->depth : 1);
        to = std::copy_n(item->curr, words, to);
    }
}
#else
extern "C" void dna_state_of(const Machine *machine, int memories, const char *const *, size_t,
                             uint32_t *to) {
    const Design &design = machine->design;
    auto put = [&](const uint32_t *words, size_t count) { to = std::copy_n(words, count, to); };
    if (memories)
        dna_memories(design.top, put);
    else
        dna_registers(design.top, design.groups, put);
}
#endif
