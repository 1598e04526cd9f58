// The machine's driver, and what its registers or memories hold.
//
// Compiled with the whole design, which knows every name, or with the transformed one and a table
// of what is left in it, in the order of the names:
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
static void dna_state(const Design &design, bool, const char *const *names, size_t count,
                      uint32_t *to) {
    const cxxrtl::debug_outline *fresh = nullptr;
    for (size_t i = 0; i < count; i++) {
        const cxxrtl::debug_item &item = design.items.table.at(names[i]).at(0);
        // What no logic reads, as the last column's activations, is computed for who looks at it.
        if (item.outline != nullptr && item.outline != fresh) {
            item.outline->eval();
            fresh = item.outline;
        }
        size_t words = (item.width + 31) / 32 * (item.type == item.MEMORY ? item.depth : 1);
        to = std::copy_n(item.curr, words, to);
    }
}
#else
static void dna_state(const Design &design, bool memories, const char *const *, size_t,
                      uint32_t *to) {
    auto put = [&](const uint32_t *words, size_t count) { to = std::copy_n(words, count, to); };
    if (memories)
        dna_memories(design.top, put);
    else
        dna_registers(design.top, design.groups, put);
}
#endif

extern "C" void dna_state_of(const Machine *machine, int memories, const char *const *names,
                             size_t count, uint32_t *to) {
    dna_state(machine->design, memories, names, count, to);
}
