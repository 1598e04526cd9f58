// Port B of the feature memory: hw/memory/feature_port.py, and the arbitration and answers of
// hw/memory/feature_memory.py.

#pragma once

#include <cstdint>

namespace {

// In the order in which they get their banks, or in every other cycle the other way round.
enum FeatureClient {
    POST_WRITE,
    POOL_WRITE,
    LOAD_WRITE,
    DEPTHWISE_WRITE,
    RESIDUAL_READ,
    STORE_READ,
    POOL_READ,
    DEPTHWISE_READ,
    FEATURE_CLIENTS
};

class FeatureMemory {
public:
    // Whether a request of the client is taken, if there is one.
    bool ready(int client) const {
        const Port &port = ports[client];
        return !port.behind.valid && port.under_way != FEATURE_READS;
    }
    bool pending(int client) const { return ports[client].held.valid || ports[client].going; }
    bool answer(int client) const { return ports[client].answers != 0; }

    // What happens in this cycle: a request that is taken, for those banks; an answer that is.
    void ask(int client, uint32_t banks) { ports[client].comes = {true, banks}; }
    void take(int client) { ports[client].taken = true; }

    void clock() {
        uint32_t before = 0;
        bool backwards = turn;
        turn = false;
        for (int place = 0; place < FEATURE_CLIENTS; place++) {
            int client = backwards ? FEATURE_CLIENTS - 1 - place : place;
            Port &port = ports[client];
            turn |= port.held.valid && !backwards;
            // It gets those of its banks that nobody before it wants, and keeps asking for the rest.
            uint32_t missing = port.held.valid ? port.held.banks & before : 0;
            bool gets = port.held.valid && missing != port.held.banks;
            bool granted = port.held.valid && !missing;
            before |= port.held.valid ? port.held.banks : 0;
            bool reads = client >= RESIDUAL_READ;
            if (reads) {
                port.under_way += int(port.comes.valid) - int(port.taken);
                port.answers += int(port.way >> 2 & 1) - int(port.taken);
                port.way = (port.way << 1 | unsigned(granted)) & 7;
            }
            port.going = gets;
            if (granted || !port.held.valid) {
                port.held = port.behind.valid ? port.behind : port.comes;
                port.behind = {};
            } else {
                port.held.banks = missing;
                if (port.comes.valid)
                    port.behind = port.comes;
            }
            port.comes = {};
            port.taken = false;
        }
    }

private:
    struct Request {
        bool valid = false;
        uint32_t banks = 0;
    };
    struct Port {
        Request comes, held, behind;
        bool going = false, taken = false;
        int under_way = 0, answers = 0; // of a reader
        unsigned way = 0;               // from the grant to the answer's place in its queue
    };

    static_assert(FEATURE_READ_LATENCY == 5, "a request is held, and three cycles are on its way");

    Port ports[FEATURE_CLIENTS];
    bool turn = false; // the order is the other way round
};

} // namespace
