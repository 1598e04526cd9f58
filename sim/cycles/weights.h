// WEIGHTS: hw/transfer/weights.py.

#pragma once

#include "control.h"

namespace {

class WeightEngine {
public:
    explicit WeightEngine(const Config &config)
        : fifo(config.weight_fifo_words), word_bytes(config.dram_bytes_per_cycle),
          lengths(OUTSTANDING_WEIGHTS) {}

    ReadClient client;
    FifoBuffered fifo;
    bool go = false, done = false, came = false;
    Activity activity = IDLE;

    // That whose words come.
    const Instruction *current() const { return lengths.r_rdy() ? lengths.front() : nullptr; }

    void settle(const Instruction *offered, bool word, bool request_ready) {
        client = {};
        client.request = state == ASK && lengths.w_rdy();
        if (client.request) {
            client.offset = offered->dram / word_bytes;
            client.length = offered->length;
        }
        client.ready = fifo.w_rdy();
        asked = client.request && request_ready;
        go = state == TAKE;
        came = word && client.ready;
        done = came && received + 1 == lengths.front()->length;
        bool ours = offered && state != TAKE;
        if (asked || came)
            activity = BUSY;
        else if (lengths.r_rdy() && !fifo.w_rdy())
            activity = WAIT_OUTPUT;
        else
            activity = lengths.r_rdy() || ours ? WAIT_DRAM : IDLE;
    }

    void clock(const Instruction *offered, bool word_taken) {
        fifo.clock(came, word_taken);
        lengths.clock(asked, done, offered);
        received = done ? 0 : received + came;
        if (state == WAIT)
            state = offered ? CHECK : WAIT;
        else if (state == CHECK)
            state = ASK;
        else if (state == ASK)
            state = asked ? TAKE : ASK;
        else
            state = WAIT;
    }

private:
    enum State { WAIT, CHECK, ASK, TAKE };

    State state = WAIT;
    bool asked = false;
    int64_t word_bytes, received = 0;
    Fifo<const Instruction *> lengths;
};

} // namespace
