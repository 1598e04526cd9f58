// The memory behind one of the machine's AXI4 ports in time: what sim/rtl/axi_memory.h does, without bytes.
// MemoryTiming and Channel are those of sim/memory/timing.py.

#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <vector>

#include "../memory/draw.h"

namespace {

class Dram {
public:
    // The program begins in `first_cycle`.
    Dram(const MemoryTiming &timing, size_t port, uint64_t first_cycle, size_t readers)
        : timing(timing), channels(CHANNELS * port), cycle(first_cycle), queues(timing.reorder ? readers : 1),
          credit(int64_t(std::min<uint64_t>(uint64_t(timing.rate) * cycle, RATE_ONE))) {}

    bool rvalid = false, bvalid = false;
    int rid = 0;

    bool arready() const { return !stalled(AR); }
    bool awready() const { return !stalled(AW); }
    bool wready() const { return may_move && !writes.empty() && !stalled(W); }

    // What the memory drives in this cycle; R never waits.
    void offer() {
        rvalid = false;
        credit = std::min(credit + timing.rate, RATE_ONE);
        may_move = credit > 0;
        if (waiting_reads && may_move && !stalled(R))
            offer_word();
        if (!bvalid && !answers.empty() && answers.front() <= cycle && !stalled(B)) {
            bvalid = true;
            answers.pop_front();
        }
    }

    void read(int id, int64_t words) {
        queues[timing.reorder ? id : 0].push_back({words, cycle + timing.latency, id});
        waiting_reads++;
    }

    void write(int64_t words) { new_write = words; }

    void write_word() {
        credit -= RATE_ONE;
        if (--writes.front() == 0) {
            answers.push_back(cycle + timing.latency);
            writes.pop_front();
        }
    }

    void clock(bool bready) {
        bvalid &= !bready;
        if (new_write)
            writes.push_back(new_write);
        new_write = 0;
        cycle++;
    }

private:
    struct Burst {
        int64_t words;
        uint64_t due;
        int id;
    };

    bool stalled(Channel channel) const {
        return stalls(timing.states[channels + channel], timing.stall_threshold, cycle);
    }

    void offer_word() {
        size_t due = 0;
        for (const auto &queue : queues)
            due += !queue.empty() && queue.front().due <= cycle;
        if (!due)
            return;
        size_t chosen = due > 1 ? draw(timing.states[channels + CHOICE], cycle) % due : 0;
        auto queue = queues.begin();
        while (queue->empty() || queue->front().due > cycle || chosen--)
            ++queue;
        Burst &burst = queue->front();
        rvalid = true;
        rid = burst.id;
        credit -= RATE_ONE;
        if (--burst.words == 0) {
            queue->pop_front();
            waiting_reads--;
        }
    }

    MemoryTiming timing;
    size_t channels;
    uint64_t cycle;
    std::vector<std::deque<Burst>> queues; // by reader, or one for all
    size_t waiting_reads = 0;
    std::deque<int64_t> writes;   // words left of each burst
    std::deque<uint64_t> answers; // when each is due
    int64_t new_write = 0;
    int64_t credit;
    bool may_move = false;
};

} // namespace
