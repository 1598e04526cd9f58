// The memory behind the machine's AXI4 ports in time, without bytes: for RTL simulation and cycle
// model. MemoryTiming, DramTiming and Channel are those of sim/memory/timing.py; what the memory
// does is in sim/memory/model.py.

#pragma once

#include <deque>
#include <memory>

#include "draw.h"
#include "dram.h"

namespace {

// The bursts of the memory that one burst of the bus reads.
struct Reading {
    uint64_t address;
    std::vector<uint64_t> done; // by burst of the memory: cycle in which it is there
    size_t asked = 0;
};

// One port. A cycle is: offer(), then what the bus transfers: read(), write(), write_word(), and
// take() in the end.
class MemoryPort {
public:
    MemoryPort(const MemoryTiming &timing, size_t port, uint64_t first_cycle, size_t readers,
               uint64_t word_bytes)
        : timing(timing), states(timing.states + CHANNELS * port), cycle(first_cycle),
          word_bytes(word_bytes), queues(timing.reorder ? readers : 1),
          credit(int64_t(std::min<uint64_t>(uint64_t(timing.rate) * cycle, RATE_ONE))) {}

    bool arready = false, awready = false, wready = false, rvalid = false, bvalid = false;
    bool rlast = false;
    int rid = 0;
    uint64_t raddress = 0; // of the word, from the begin of the memory

    // What the memory drives in this cycle.
    void offer() {
        credit = std::min(credit + timing.rate, int64_t(RATE_ONE));
        bool may_move = credit > 0;
        arready = !stalled(AR);
        awready = !stalled(AW);
        wready = may_move && !writes.empty() && to_write.size() < WRITES && !stalled(W);
        if (!rvalid && waiting_reads && may_move && !stalled(R))
            offer_word();
        if (!bvalid && !answers.empty() && answers.front() <= cycle && !stalled(B)) {
            bvalid = true;
            answers.pop_front();
        }
    }

    void read(int id, uint64_t address, uint64_t words) {
        Burst burst = {address, words, cycle + timing.latency, id, {}};
        if (timing.dram.channels) {
            uint64_t first = whole(address), last = whole(address + words * word_bytes - 1);
            size_t count = (last - first) / timing.dram.burst_bytes + 1;
            burst.reading = std::make_shared<Reading>(
                Reading{first, std::vector<uint64_t>(count, NEVER_DONE)});
            to_read.push_back({burst.reading, burst.due});
        }
        queues[timing.reorder ? id : 0].push_back(std::move(burst));
        waiting_reads++;
    }

    void write(uint64_t address, uint64_t words) { writes.push_back({address, words, 0, 0, {}}); }

    void write_word() {
        credit -= RATE_ONE;
        Burst &burst = writes.front();
        uint64_t begin = burst.address;
        burst.address += word_bytes;
        burst.words--;
        if (timing.dram.channels)
            for (uint64_t at = whole(begin); at < burst.address; at += timing.dram.burst_bytes)
                if (at + timing.dram.burst_bytes <= burst.address || !burst.words)
                    to_write.push_back({at, cycle + timing.latency});
        if (!burst.words) {
            answers.push_back(cycle + timing.latency);
            writes.pop_front();
        }
    }

    // The end of the cycle: which answers the bus takes.
    void take(bool rready, bool bready) {
        rvalid &= !rready;
        bvalid &= !bready;
        cycle++;
    }

    // Hands one burst to the controller, which may not have room; whether it did.
    bool hand_read(DramController &controller) {
        if (to_read.empty() || to_read.front().due > cycle)
            return false;
        Reading &reading = *to_read.front().reading;
        uint64_t address = reading.address + reading.asked * timing.dram.burst_bytes;
        if (!controller.take(false, address, &reading.done[reading.asked]))
            return false;
        if (++reading.asked == reading.done.size())
            to_read.pop_front();
        return true;
    }

    bool hand_write(DramController &controller) {
        if (to_write.empty() || to_write.front().due > cycle ||
            !controller.take(true, to_write.front().address, nullptr))
            return false;
        to_write.pop_front();
        return true;
    }

private:
    static constexpr size_t WRITES = 32; // bursts of the memory that wait in a port

    struct Burst {
        uint64_t address; // of the next word
        uint64_t words;   // left
        uint64_t due;
        int id;
        std::shared_ptr<Reading> reading;
    };

    struct ToRead {
        std::shared_ptr<Reading> reading;
        uint64_t due;
    };

    struct ToWrite {
        uint64_t address, due;
    };

    uint64_t whole(uint64_t address) const { return address & ~(timing.dram.burst_bytes - 1); }

    bool stalled(Channel channel) const {
        return stalls(states[channel], timing.stall_threshold, cycle);
    }

    // Whether the next word of the oldest burst in `queue` is there.
    bool ready(const std::deque<Burst> &queue) const {
        if (queue.empty())
            return false;
        const Burst &burst = queue.front();
        if (!burst.reading)
            return burst.due <= cycle;
        uint64_t from = burst.address - burst.reading->address;
        size_t first = from / timing.dram.burst_bytes;
        size_t last = (from + word_bytes - 1) / timing.dram.burst_bytes;
        for (size_t index = first; index <= last; index++)
            if (burst.reading->done[index] > cycle)
                return false;
        return true;
    }

    void offer_word() {
        size_t count = 0;
        for (const auto &queue : queues)
            count += ready(queue);
        if (!count)
            return;
        size_t chosen = count > 1 ? draw(states[CHOICE], cycle) % count : 0;
        auto queue = queues.begin();
        while (!ready(*queue) || chosen--)
            ++queue;
        Burst &burst = queue->front();
        rvalid = true;
        rid = burst.id;
        raddress = burst.address;
        rlast = burst.words == 1;
        credit -= RATE_ONE;
        burst.address += word_bytes;
        if (--burst.words == 0) {
            queue->pop_front();
            waiting_reads--;
        }
    }

    MemoryTiming timing;
    const uint64_t *states;
    uint64_t cycle, word_bytes;
    std::vector<std::deque<Burst>> queues; // reads: one for each identifier, or one for all
    size_t waiting_reads = 0;
    std::deque<Burst> writes;
    std::deque<uint64_t> answers; // when each is due
    std::deque<ToRead> to_read;
    std::deque<ToWrite> to_write;
    int64_t credit;
};

// All ports, and the controller that they share.
class MemoryPorts {
public:
    MemoryPorts(const MemoryTiming &timing, size_t count, uint64_t first_cycle, size_t readers,
                uint64_t word_bytes)
        : timing(timing), controller(this->timing.dram), cycle(first_cycle) {
        for (size_t port = 0; port < count; port++)
            ports.emplace_back(this->timing, port, first_cycle, readers, word_bytes);
    }
    MemoryPorts(const MemoryPorts &) = delete;

    MemoryPort &operator[](size_t port) { return ports[port]; }
    const MemoryPort &operator[](size_t port) const { return ports[port]; }
    size_t size() const { return ports.size(); }

    // The begin of a cycle.
    void offer() {
        if (timing.dram.channels) {
            controller.run(cycle);
            for (bool more = true; more;) {
                more = false;
                for (size_t turn = 0; turn < ports.size(); turn++) {
                    MemoryPort &port = ports[(cycle + turn) % ports.size()];
                    more |= port.hand_read(controller);
                    more |= port.hand_write(controller);
                }
            }
        }
        for (MemoryPort &port : ports)
            port.offer();
        cycle++;
    }

private:
    MemoryTiming timing;
    DramController controller;
    std::deque<MemoryPort> ports;
    uint64_t cycle;
};

} // namespace
