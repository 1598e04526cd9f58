// A design that CXXRTL generated: its pins by name, one rising edge of the clock at a time, waves.
//
// Every driver is compiled with `-include` of the generated design, which also defines
//     static void dna_latch(cxxrtl_design::p_top &);   // every register takes its next value
//     static std::map<std::string, DnaPin> dna_pins(cxxrtl_design::p_top &);
//     struct DnaGroups;   // instances that are computed in loops beside p_top, see lane_groups.py
// and called through ctypes. Without DNA_WAVES the design knows nothing of its inside, and there
// can be no waves.

#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include <cxxrtl/cxxrtl_vcd.h>

namespace {

class Design {
public:
    Design() {
#ifdef DNA_WAVES
        top.debug_info(&items, nullptr, "");
#endif
        top.p_clk.data[0] = 0;
        // Without combinational feedback, one eval() settles everything, and says so.
        settles_at_once = top.eval();
        settle();
    }

    ~Design() {
        if (wave_file)
            std::fclose(wave_file);
    }

    // The 32-bit chunks of a port of the design, least significant first.
    uint32_t *pin(const std::string &name) const { return pins.at(name).chunks; }

    uint32_t width(const std::string &name) const { return pins.at(name).width; }

    void settle() { top.step(); }

    // Writes waves of the cycles [start, stop) to `path`: all signals, or those of the submodules
    // whose hierarchical names, like `core.post`, are given. Returns how many signals that are, or
    // -1 if the file cannot be written.
    int trace(const char *path, uint64_t start, uint64_t stop, const char *const *modules,
              size_t module_count) {
        wave_start = start;
        wave_stop = stop;
        std::vector<std::string> prefixes;
        for (size_t i = 0; i < module_count; i++) {
            prefixes.push_back("dut " + std::string(modules[i]) + " ");
            for (char &letter : prefixes.back())
                letter = letter == '.' ? ' ' : letter;
        }
        int signals = 0;
        waves.timescale(1, "ns");
        waves.add(items, [&](const std::string &name, const cxxrtl::debug_item &item) {
            bool chosen = prefixes.empty();
            for (const std::string &prefix : prefixes)
                chosen |= name.compare(0, prefix.size(), prefix) == 0;
            chosen &= item.type != cxxrtl::debug_item::MEMORY;
            signals += chosen;
            return chosen;
        });
        if (signals == 0)
            return 0;
        wave_file = std::fopen(path, "w");
        return wave_file ? signals : -1;
    }

    // One rising edge. `observe` is called when all outputs are what they are before the edge,
    // which is when a transfer is decided. The quick way evaluates once: registers compute their
    // next values, and outputs still follow from the old ones.
    template <class Observer> void clock(uint64_t cycle, Observer observe) {
        bool traced = wave_file && cycle >= wave_start && cycle < wave_stop;
        if (settles_at_once && !traced) {
            top.prev_p_clk.data[0] = 0;
            top.p_clk.data[0] = 1;
            top.eval();
            observe();
            groups.gather(top);
            groups.step(top);
            dna_latch(top);
            return;
        }
        top.p_clk.data[0] = 0;
        settle();
        observe();
        if (traced)
            sample(2 * cycle);
        groups.gather(top);
        top.p_clk.data[0] = 1;
        settle();
        groups.step(top);
        if (traced) {
            top.eval();
            sample(2 * cycle + 1);
        }
    }

private:
    void sample(uint64_t nanoseconds) {
        waves.sample(nanoseconds);
        std::fwrite(waves.buffer.data(), 1, waves.buffer.size(), wave_file);
        waves.buffer.clear();
    }

    cxxrtl_design::p_top top;
    DnaGroups groups{top};
    std::map<std::string, DnaPin> pins = dna_pins(top);
    cxxrtl::debug_items items;
    bool settles_at_once;
    cxxrtl::vcd_writer waves;
    std::FILE *wave_file = nullptr;
    uint64_t wave_start = 0;
    uint64_t wave_stop = 0;
};

} // namespace
