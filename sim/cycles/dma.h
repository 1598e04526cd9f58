// hw/bus/read_queue.py, hw/bus/dma_read.py and hw/bus/dma_write.py.

#pragma once

#include <algorithm>

#include "../memory/ports.h"
#include "queues.h"

namespace {

// The side of a reader: a request, and whether it takes a word.
struct ReadClient {
    bool request = false;
    int64_t offset = 0, length = 0; // DRAM words
    bool ready = false;
};

// Number of the port behind which a DRAM word is.
inline int port_of(const Config &config, int64_t word) {
    return int(word * config.dram_bytes_per_cycle / config.port_granule_bytes % config.dram_ports);
}

// hw/bus/read_queue.py.
class ReadQueue {
public:
    explicit ReadQueue(const Config &config)
        : config(config), splitter(config.burst_words),
          ports(config.dram_ports,
                Port(config.burst_words * config.outstanding_bursts / config.dram_ports)) {}

    bool request_ready() const { return splitter.ready(); }
    bool word_valid() const { return full; }
    // The port that is asked for a burst, or none.
    int asks() const { return asking ? port_of(config, asked.word) : NOBODY; }
    const Burst &burst() const { return asked; }

    // One cycle; `served`: what is asked for is taken; `comes`: a beat of each port.
    void clock(const ReadClient &client, bool served, const std::vector<bool> &comes) {
        Port *next = nullptr;
        bool asks_next = false;
        if (splitter.valid() && !asking) {
            next = &ports[port_of(config, splitter.burst().word)];
            asks_next = next->free >= splitter.burst().length;
        }
        bool moves = !full || client.ready, take = false;
        Port *chosen = nullptr;
        if (!order.empty()) {
            chosen = &ports[port_of(config, order.front().word)];
            take = chosen->words.r_rdy() && moves;
        }
        if (served)
            asking = false;
        if (asks_next) {
            asking = true;
            asked = splitter.burst();
            next->free -= asked.length;
        }
        for (size_t number = 0; number < ports.size(); number++) {
            Port &port = ports[number];
            bool popped = take && &port == chosen;
            bool whole = comes[number] && port.part + 1 == ports.size();
            if (comes[number])
                port.part = whole ? 0 : port.part + 1;
            port.free += popped;
            port.words.clock(whole, popped);
        }
        if (moves)
            full = take;
        if (take && ++count == order.front().length) {
            count = 0;
            order.pop_front();
        }
        if (asks_next)
            order.push_back(asked);
        splitter.clock(client.request, client.offset, client.length, asks_next);
    }

    static constexpr int NOBODY = -1;

private:
    struct Port {
        explicit Port(int64_t depth) : free(depth), words(std::max<int64_t>(depth, 3)) {}
        int64_t free; // words that may still be asked for
        FifoBuffered words;
        size_t part = 0;
    };

    const Config &config;
    BurstSplitter splitter;
    std::vector<Port> ports;
    std::deque<Burst> order; // is longer than any burst takes to come, so it is never waited for
    int64_t count = 0;
    bool asking = false, full = false;
    Burst asked;
};

class DmaReader {
public:
    DmaReader(const Config &config, int count)
        : word_bytes(config.dram_bytes_per_cycle), queues(count, ReadQueue(config)) {
        for (int number = 0; number < config.dram_ports; number++)
            ports.emplace_back(count);
    }

    bool request_ready(int client) const { return queues[client].request_ready(); }
    bool word_valid(int client) const { return queues[client].word_valid(); }

    // One cycle, once every client has said what it wants.
    void clock(MemoryPorts &memory, const ReadClient *clients) {
        for (size_t number = 0; number < ports.size(); number++) {
            Port &port = ports[number];
            bool accepted = port.address.valid() && memory[number].arready;
            if (accepted) {
                const Burst &burst = port.address.burst();
                memory[number].read(port.address.id(), uint64_t(burst.word * word_bytes),
                                    uint64_t(burst.length) * ports.size());
            }
            int grant = port.address.ready() ? next(int(number)) : ReadQueue::NOBODY;
            if (grant != ReadQueue::NOBODY)
                port.last = grant;
            port.address.clock(grant != ReadQueue::NOBODY,
                               grant != ReadQueue::NOBODY ? queues[grant].burst() : Burst(), grant,
                               accepted);
            port.grant = grant;
        }
        for (size_t index = 0; index < queues.size(); index++) {
            bool served = false;
            for (size_t number = 0; number < ports.size(); number++) {
                served |= ports[number].grant == int(index);
                comes[number] = memory[number].rvalid && memory[number].rid == int(index);
            }
            queues[index].clock(clients[index], served, comes);
        }
    }

private:
    struct Port {
        explicit Port(int) {}
        BurstAddress address;
        int last = 0, grant = ReadQueue::NOBODY;
    };

    // hw/streams/round_robin.py: of those that ask for a burst, the next after the last.
    int next(int number) const {
        int count = int(queues.size()), index = ports[number].last;
        for (int step = 0; step < count; step++) {
            index = index + 1 == count ? 0 : index + 1;
            if (queues[index].asks() == number)
                return index;
        }
        return ReadQueue::NOBODY;
    }

    int64_t word_bytes;
    std::vector<ReadQueue> queues;
    std::vector<Port> ports;
    std::vector<bool> comes = std::vector<bool>(4);
};

class DmaWriter {
public:
    explicit DmaWriter(const Config &config)
        : config(config), splitter(config.burst_words), ports(config.dram_ports, Port(config)),
          order(config.outstanding_bursts + 1) {}

    bool request_ready() const { return splitter.ready(); }
    bool word_ready() const {
        if (!splitter.valid())
            return false;
        const Port &port = ports[port_of(config, splitter.burst().word)];
        return port.words.w_rdy() && (!completes() || (port.address.ready() && !full));
    }
    bool done() const { return over() && order_words.front().last; }

    // One cycle; `request` and `word` say what the client offers. Whether a word goes to the bus.
    bool clock(MemoryPorts &memory, bool request, int64_t offset, int64_t length, bool word) {
        bool accepted = word && word_ready(), ends = accepted && completes(), retires = over();
        bool any_sent = false;
        int to = splitter.valid() ? port_of(config, splitter.burst().word) : 0;
        int from = retires ? port_of(config, order_words.front().word) : 0;
        int64_t parts = int64_t(ports.size());
        for (int number = 0; number < int(ports.size()); number++) {
            Port &port = ports[number];
            MemoryPort &to_memory = memory[size_t(number)];
            bool sends = port.started != 0 && port.words.r_rdy() && to_memory.wready;
            bool whole = sends && port.part + 1 == parts;
            bool sent = whole && --port.left == 0;
            if (sends) {
                to_memory.write_word();
                any_sent = true;
                port.part = whole ? 0 : port.part + 1;
            }
            if (sent) {
                port.bursts.pop_front();
                port.left = port.bursts.empty() ? 0 : port.bursts.front();
            }
            bool addressed = port.address.valid() && to_memory.awready;
            if (addressed) {
                const Burst &burst = port.address.burst();
                to_memory.write(uint64_t(burst.word * config.dram_bytes_per_cycle),
                                uint64_t(burst.length * parts));
            }
            port.started += int64_t(port.address.starts(addressed)) - int64_t(sent);
            port.address.clock(ends && number == to, splitter.burst(), 0, addressed);
            if (ends && number == to) {
                port.bursts.push_back(splitter.burst().length);
                if (port.bursts.size() == 1)
                    port.left = port.bursts.front();
            }
            words_sent += whole;
            port.words.clock(accepted && number == to, whole);
            port.answers.clock(to_memory.bvalid, retires && number == from);
            to_memory.take(true, true);
        }
        under_way += int64_t(ends) - int64_t(retires);
        full = under_way == config.outstanding_bursts;
        gathered = ends ? 0 : gathered + accepted;
        order.clock(ends, retires);
        if (retires)
            order_words.pop_front();
        if (ends)
            order_words.push_back(splitter.burst());
        splitter.clock(request, offset, length, ends);
        return any_sent;
    }

    uint64_t words_sent = 0; // DRAM words

private:
    struct Port {
        explicit Port(const Config &config)
            : words(2 * config.burst_words), answers(config.outstanding_bursts + 1) {}
        BurstAddress address;
        FifoBuffered words, answers;
        std::deque<int64_t> bursts; // DRAM words of those that are here and not sent
        int64_t part = 0, left = 0, started = 0;
    };

    bool completes() const { return gathered + 1 == splitter.burst().length; }
    bool over() const {
        return order.r_rdy() && ports[port_of(config, order_words.front().word)].answers.r_rdy();
    }

    const Config &config;
    BurstSplitter splitter;
    std::vector<Port> ports;
    FifoBuffered order;
    std::deque<Burst> order_words;
    int64_t gathered = 0, under_way = 0;
    bool full = false;
};

} // namespace
