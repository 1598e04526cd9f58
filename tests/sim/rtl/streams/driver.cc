// Drives a component: streams in and out, static inputs.
//
// Called by cxxrtl.py, whose PRELUDE declares `Stream` and `Static`.

#include <cstring>

#include "../memory/draw.h"
#include "design.h"

namespace {

struct Pins {
    uint32_t *payload;
    uint32_t *valid;
    uint32_t *ready;
};

enum Verdict : int { RUNNING = 0, DONE = 1, DEADLOCK = 2, SURPLUS = 3 };

class Runner {
public:
    Runner(Stream *streams, size_t stream_count, const Static *statics, size_t static_count,
           uint64_t stall_threshold)
        : streams(streams), stream_count(stream_count), stall_threshold(stall_threshold) {
        for (size_t i = 0; i < stream_count; i++) {
            std::string name = streams[i].name;
            pins.push_back({design.pin(name + "__payload"), design.pin(name + "__valid"),
                            design.pin(name + "__ready")});
        }
        for (size_t i = 0; i < static_count; i++)
            std::memcpy(design.pin(statics[i].name), &statics[i].value,
                        design.width(statics[i].name) > 32 ? 8 : 4);
        design.settle();
    }

    // Runs at most `budget` cycles. With all words transferred it goes on for `surplus_limit`
    // cycles to see whether another one comes.
    Verdict advance(uint64_t budget, uint64_t idle_limit, uint64_t surplus_limit) {
        for (; budget > 0; budget--) {
            if (open_streams() == 0 && idle == surplus_limit)
                return DONE;
            offer();
            design.clock(cycle, [this] { transfer(); });
            if (open_streams() == 0) {
                for (size_t i = 0; i < stream_count; i++)
                    if (!streams[i].is_input && streams[i].valid && !streams[i].ready)
                        return SURPLUS;
            } else if (idle == idle_limit) {
                return DEADLOCK;
            }
            cycle++;
        }
        return RUNNING;
    }

    Design design;
    uint64_t cycle = 0;

private:
    size_t open_streams() const {
        size_t open = 0;
        for (size_t i = 0; i < stream_count; i++)
            open += streams[i].done < streams[i].count;
        return open;
    }

    void offer() {
        for (size_t i = 0; i < stream_count; i++) {
            Stream &s = streams[i];
            bool more = s.done < s.count;
            bool stalled = stalls(s.stall_state, stall_threshold, cycle);
            if (s.is_input) {
                bool offered = s.valid && !s.ready;
                s.valid = more && (offered || !stalled);
                if (s.valid && !offered)
                    std::memcpy(pins[i].payload, s.words + s.done * s.bytes, s.bytes);
                *pins[i].valid = s.valid;
            } else {
                s.ready = more && !stalled;
                *pins[i].ready = s.ready;
            }
        }
    }

    void transfer() {
        idle++;
        for (size_t i = 0; i < stream_count; i++) {
            Stream &s = streams[i];
            if (s.is_input)
                s.ready = *pins[i].ready;
            else
                s.valid = *pins[i].valid;
            if (!s.valid || !s.ready)
                continue;
            if (!s.is_input)
                std::memcpy(s.words + s.done * s.bytes, pins[i].payload, s.bytes);
            s.accepted[s.done++] = int64_t(cycle);
            idle = 0;
        }
    }

    Stream *streams;
    size_t stream_count;
    uint64_t stall_threshold;
    std::vector<Pins> pins;
    uint64_t idle = 0;
};

} // namespace

extern "C" {

Runner *dna_open(Stream *streams, size_t stream_count, const Static *statics, size_t static_count,
                 uint64_t stall_threshold) {
    return new Runner(streams, stream_count, statics, static_count, stall_threshold);
}

int dna_trace(Runner *runner, const char *path, uint64_t start, uint64_t stop,
              const char *const *modules, size_t module_count) {
    return runner->design.trace(path, start, stop, modules, module_count);
}

int dna_advance(Runner *runner, uint64_t budget, uint64_t idle_limit, uint64_t surplus_limit) {
    return runner->advance(budget, idle_limit, surplus_limit);
}

uint64_t dna_cycle(const Runner *runner) { return runner->cycle; }

void dna_close(Runner *runner) { delete runner; }
}
