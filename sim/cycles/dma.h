// hw/bus/dma_read.py and hw/bus/dma_write.py.

#pragma once

#include "dram.h"
#include "queues.h"

namespace {

// The side of a reader: a request, and whether it takes a word.
struct ReadClient {
    bool request = false;
    int64_t offset = 0, length = 0; // DRAM words
    bool ready = false;
};

class DmaReader {
public:
    DmaReader(const Config &config, int count) : ports(count, Port(config)) {}

    bool request_ready(int client) const { return ports[client].splitter.ready(); }
    bool word_valid(int client) const { return ports[client].words.r_rdy(); }

    // One cycle, once every client has said what it wants.
    void clock(Dram &dram, const ReadClient *clients) {
        bool arready = arvalid && dram.arready();
        if (arready)
            dram.read(arid, arlength);
        int grant = !arvalid || arready ? next() : NOBODY;
        if (arready)
            arvalid = false;
        for (size_t index = 0; index < ports.size(); index++) {
            Port &port = ports[index];
            const ReadClient &client = clients[index];
            port.free += port.words.r_rdy() && client.ready;
            port.words.clock(dram.rvalid && dram.rid == int(index), client.ready);
            if (int(index) == grant) {
                last = grant;
                arvalid = true;
                arid = grant;
                arlength = port.splitter.length();
                port.free -= arlength;
                port.splitter.take();
            } else if (client.request && port.splitter.ready()) {
                port.splitter.accept(client.offset, client.length);
            }
        }
    }

private:
    struct Port {
        explicit Port(const Config &config)
            : splitter(config.burst_words), free(config.burst_words * config.outstanding_bursts),
              words(free) {}
        BurstSplitter splitter;
        int64_t free; // words that may still be asked for
        FifoBuffered words;
    };

    static constexpr int NOBODY = -1;

    // hw/streams/round_robin.py: of those with a burst to ask for and room, the next after the last.
    int next() const {
        int count = int(ports.size()), index = last;
        for (int step = 0; step < count; step++) {
            index = index + 1 == count ? 0 : index + 1;
            const Port &port = ports[index];
            if (port.splitter.valid() && port.free >= port.splitter.length())
                return index;
        }
        return NOBODY;
    }

    std::vector<Port> ports;
    int last = 0;
    bool arvalid = false;
    int arid = 0;
    int64_t arlength = 0;
};

class DmaWriter {
public:
    explicit DmaWriter(const Config &config)
        : splitter(config.burst_words), words(2 * config.burst_words) {}

    bool request_ready() const { return splitter.ready(); }
    bool word_ready() const { return words.w_rdy(); }
    bool done(const Dram &dram) const { return state == ACKNOWLEDGE && dram.bvalid && last; }

    // One cycle; `request` and `word` say what the client offers. Whether a word goes to the bus.
    bool clock(Dram &dram, bool request, int64_t offset, int64_t length, bool word) {
        bool accepted = request && splitter.ready();
        bool begins = state == GATHER && splitter.valid() && words.level() >= splitter.length();
        bool sent = state == SEND && left != 0 && words.r_rdy() && dram.wready();
        bool bready = state == ACKNOWLEDGE;
        if (begins) {
            awvalid = true;
            left = burst = splitter.length();
            last = splitter.last();
            splitter.take();
            state = SEND;
        } else if (state == SEND) {
            if (left == 0 && !awvalid)
                state = ACKNOWLEDGE;
            if (sent)
                dram.write_word();
            if (awvalid && dram.awready()) {
                dram.write(burst);
                awvalid = false;
            }
            left -= sent;
        } else if (bready && dram.bvalid) {
            state = GATHER;
        }
        words.clock(word, sent);
        if (accepted)
            splitter.accept(offset, length);
        dram.clock(bready);
        return sent;
    }

private:
    enum State { GATHER, SEND, ACKNOWLEDGE };

    BurstSplitter splitter;
    FifoBuffered words;
    State state = GATHER;
    bool awvalid = false, last = false;
    int64_t left = 0, burst = 0;
};

} // namespace
