// Takes the place of sim/rtl/design.h: the same design, verilated.
//
// The ports are `p0`, `p1`, ... of the model; `verilated_ports.h` lists them. The driver sees copies
// of them as arrays of 32-bit chunks.

#pragma once

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "Vtop.h"

namespace {

class Design {
public:
    Design() {
#define PORT(number, name, width, input) add(&model.p##number, name, width, input);
#include "verilated_ports.h"
#undef PORT
        settle();
    }

    uint32_t *pin(const std::string &name) const { return chunks.at(name)->data(); }

    uint32_t width(const std::string &name) const { return widths.at(name); }

    void settle() {
        give();
        model.clk = 0;
        model.eval();
        take();
    }

    int trace(const char *, uint64_t, uint64_t, const char *const *, size_t) { return 0; }

    template <class Observer> void clock(uint64_t, Observer observe) {
        settle();
        observe();
        model.clk = 1;
        model.eval();
    }

private:
    struct Copy {
        void *port;
        uint32_t *chunks;
        size_t bytes;
    };

    template <class Port> void add(Port *port, const char *name, uint32_t width, bool input) {
        auto *copy = new std::vector<uint32_t>((width + 31) / 32 + 1);
        chunks[name] = copy;
        widths[name] = width;
        (input ? inputs : outputs).push_back({port, copy->data(), sizeof(Port)});
    }

    void give() {
        for (const Copy &copy : inputs)
            std::memcpy(copy.port, copy.chunks, copy.bytes);
    }

    void take() {
        for (const Copy &copy : outputs)
            std::memcpy(copy.chunks, copy.port, copy.bytes);
    }

    Vtop model;
    std::map<std::string, std::vector<uint32_t> *> chunks;
    std::map<std::string, uint32_t> widths;
    std::vector<Copy> inputs, outputs;
};

} // namespace
