// Drives the whole machine: its registers, the memory behind it, and what it shows of itself.
//
// Called by cxxrtl.py, whose PRELUDE declares what is not declared here.

#include <chrono>
#include <optional>

#include "../axi_memory.h"

namespace {

constexpr int BUS_LIMIT = 1000;   // cycles for an access to a register
constexpr int NO_ANSWER = -1;
constexpr int CLOCK_STRIDE = 256; // cycles between looks at the wall clock

class WritePort {
public:
    WritePort(const Design &design, const std::string &name, uint8_t source)
        : valid(design.pin(name + "__valid")), address(design.pin(name + "__address")),
          offsets(design.pin(name + "__offsets")), enable(design.pin(name + "__enable")),
          words(design.pin(name + "__words")), source(source) {}

    // From the first word's place to that of another one, each of so many bits.
    uint32_t offset(uint32_t word, uint32_t bits) const {
        uint32_t at = word * bits;
        uint64_t pair = offsets[at / 32];
        if (at % 32 + bits > 32)
            pair |= uint64_t(offsets[at / 32 + 1]) << 32;
        return uint32_t(pair >> at % 32) & ((1u << bits) - 1);
    }

    uint32_t *valid, *address, *offsets, *enable, *words;
    uint8_t source;
};

class Machine {
public:
    Machine(const MemoryContent &content, const MemoryTiming &timing, bool record_writes)
        : content(content), record_writes(record_writes),
          ports{{design, "load_trace", LOAD},
                {design, "post_trace", POST},
                {design, "pool_trace", POOL},
                {design, "depthwise_trace", DEPTHWISE}},
          bytes(design.width("load_trace__words") / 8),
          word_count(design.width("load_trace__enable")),
          address_bits(design.width("load_trace__address")), busy(design.pin("busy")),
          interrupt(design.pin("interrupt")), counts(ENGINES) {
        std::string first = content.ports == 1 ? "m_axi_" : "m_axi0_";
        time.emplace(timing, content.ports, 0, size_t(1) << design.width(first + "arid"),
                     design.width(first + "rdata") / 8);
        for (uint64_t port = 0; port < content.ports; port++)
            memory.emplace_back(design, this->content, (*time)[port], port,
                                content.ports == 1 ? first : "m_axi" + std::to_string(port) + "_");
        for (size_t engine = 0; engine < ENGINES; engine++) {
            activity[engine] = design.pin("activity__" + std::to_string(engine));
            layer[engine] = design.pin("layers__" + std::to_string(engine));
        }
    }

    // The response to a write of a register, or NO_ANSWER.
    int write_register(uint32_t offset, uint32_t value) {
        *lite("awaddr") = offset;
        *lite("wdata") = value;
        *lite("wstrb") = 0xF;
        *lite("bready") = 1;
        uint32_t *awvalid = lite("awvalid"), *wvalid = lite("wvalid");
        const uint32_t *awready = lite("awready"), *wready = lite("wready");
        const uint32_t *bvalid = lite("bvalid"), *bresp = lite("bresp");
        *awvalid = *wvalid = 1;
        for (int i = 0; i < BUS_LIMIT; i++) {
            bool aw = false, w = false;
            int response = NO_ANSWER;
            step([&] {
                aw = *awready, w = *wready;
                if (*bvalid)
                    response = int(*bresp);
            });
            if (aw)
                *awvalid = 0;
            if (w)
                *wvalid = 0;
            if (response != NO_ANSWER)
                return response;
        }
        return NO_ANSWER;
    }

    // The same for a read.
    int read_register(uint32_t offset, uint32_t *value) {
        *lite("araddr") = offset;
        *lite("rready") = 1;
        uint32_t *arvalid = lite("arvalid");
        const uint32_t *arready = lite("arready"), *rvalid = lite("rvalid");
        const uint32_t *rdata = lite("rdata"), *rresp = lite("rresp");
        *arvalid = 1;
        for (int i = 0; i < BUS_LIMIT; i++) {
            bool ar = false;
            int response = NO_ANSWER;
            step([&] {
                ar = *arready, *value = *rdata;
                if (*rvalid)
                    response = int(*rresp);
            });
            if (ar)
                *arvalid = 0;
            if (response != NO_ANSWER)
                return response;
        }
        return NO_ANSWER;
    }

    // Runs until the interrupt is high, but at most `budget` cycles and not much longer than
    // `milliseconds`.
    Verdict run(uint64_t budget, uint64_t milliseconds) {
        using Clock = std::chrono::steady_clock;
        const auto deadline = Clock::now() + std::chrono::milliseconds(milliseconds);
        while (budget > 0) {
            for (int i = 0; i < CLOCK_STRIDE && budget > 0; i++, budget--) {
                bool raised = false;
                step([&] { raised = *interrupt; });
                if (*fault())
                    return BROKEN;
                if (raised)
                    return INTERRUPT;
            }
            if (Clock::now() >= deadline)
                break;
        }
        return RUNNING;
    }

    Writes writes() {
        return {cycles.data(),  sources.data(), addresses.data(), offsets.data(),
                enables.data(), words.data(),   cycles.size(),    bytes};
    }

    // Cycles of `engine` by layer and activity.
    std::vector<int64_t> &histogram(size_t engine) { return counts[engine]; }

    // The first rule of AXI4 that the machine broke.
    const char *fault() const {
        for (const Memory &port : memory)
            if (!port.fault.empty())
                return port.fault.c_str();
        return "";
    }

    Design design;
    uint64_t cycle = 0;

private:
    uint32_t *lite(const char *name) const { return design.pin(std::string("s_axil_") + name); }

    template <class Observer> void step(Observer observe) {
        time->offer();
        for (Memory &port : memory)
            port.offer();
        design.clock(cycle, [&] {
            for (Memory &port : memory)
                port.observe();
            record();
            observe();
        });
        cycle++;
    }

    void record() {
        if (*busy && !was_busy)
            clear();
        was_busy = *busy;
        if (record_writes)
            for (const WritePort &port : ports)
                if (*port.valid)
                    record_write(port);
        if (*busy)
            for (size_t engine = 0; engine < ENGINES; engine++) {
                size_t index = *layer[engine] * ACTIVITIES + *activity[engine];
                if (index >= counts[engine].size())
                    counts[engine].resize((*layer[engine] + 1) * ACTIVITIES);
                counts[engine][index]++;
            }
    }

    void record_write(const WritePort &port) {
        cycles.push_back(int64_t(cycle));
        sources.push_back(port.source);
        addresses.push_back(*port.address);
        for (uint32_t word = 0; word < word_count; word++)
            offsets.push_back(port.offset(word, address_bits));
        enables.push_back(uint8_t(*port.enable));
        const int8_t *first = reinterpret_cast<const int8_t *>(port.words);
        words.insert(words.end(), first, first + bytes);
    }

    // What is recorded is of the last program.
    void clear() {
        cycles.clear(), sources.clear(), addresses.clear(), offsets.clear(), enables.clear(),
            words.clear();
        for (std::vector<int64_t> &count : counts)
            count.clear();
    }

    MemoryContent content;
    std::optional<MemoryPorts> time;
    std::vector<Memory> memory; // by port
    bool record_writes;
    WritePort ports[4];
    uint32_t bytes, word_count, address_bits;
    uint32_t *busy, *interrupt;
    uint32_t *activity[ENGINES], *layer[ENGINES];
    bool was_busy = false;
    std::vector<int64_t> cycles;
    std::vector<uint8_t> sources;
    std::vector<uint32_t> addresses, offsets;
    std::vector<uint8_t> enables;
    std::vector<int8_t> words;
    std::vector<std::vector<int64_t>> counts;
};

} // namespace

extern "C" {

Machine *dna_open(const MemoryContent *content, const MemoryTiming *timing, int record_writes) {
    return new Machine(*content, *timing, record_writes);
}

int dna_trace(Machine *machine, const char *path, uint64_t start, uint64_t stop,
              const char *const *modules, size_t module_count) {
    return machine->design.trace(path, start, stop, modules, module_count);
}

int dna_write_register(Machine *machine, uint32_t offset, uint32_t value) {
    return machine->write_register(offset, value);
}

int dna_read_register(Machine *machine, uint32_t offset, uint32_t *value) {
    return machine->read_register(offset, value);
}

int dna_run(Machine *machine, uint64_t budget, uint64_t milliseconds) {
    return machine->run(budget, milliseconds);
}

uint64_t dna_cycle(const Machine *machine) { return machine->cycle; }

const char *dna_fault(const Machine *machine) { return machine->fault(); }

void dna_writes(Machine *machine, Writes *writes) { *writes = machine->writes(); }

const int64_t *dna_histogram(Machine *machine, size_t engine, uint64_t *size) {
    std::vector<int64_t> &counts = machine->histogram(engine);
    *size = counts.size();
    return counts.data();
}

void dna_close(Machine *machine) { delete machine; }
}
