// What gives instructions to the engines: hw/control/instruction_fetch.py, hw/control/sequencer.py,
// hw/control/token_counters.py, and what engines do with them, hw/control/engine.py.

#pragma once

#include "dma.h"

namespace {

// The banks of the feature memory, a bit each, that an access of `count` words from `address` on needs.
inline uint32_t banks(const Config &config, int64_t address, int64_t count) {
    int64_t first = address & (config.modules - 1);
    uint32_t mask = ((1u << count) - 1) << first;
    return (mask | mask >> config.modules) & ((1u << config.modules) - 1);
}

class InstructionFetch {
public:
    InstructionFetch(const Config &config, const std::vector<Instruction> &program)
        : program(program), word_bytes(config.dram_bytes_per_cycle),
          words_each(std::max<int64_t>(1, INSTRUCTION_BYTES / word_bytes)),
          parts(std::max<int64_t>(1, word_bytes / INSTRUCTION_BYTES)) {}

    bool valid() const { return state == CHECK && position != 0; }
    size_t index() const { return position; }

    ReadClient client() const {
        int64_t size = int64_t(program.size()) * INSTRUCTION_BYTES;
        int64_t whole = (size + word_bytes - 1) / word_bytes;
        ReadClient client;
        client.request = state == ASK_FOR_HEADER || (state == ASK_FOR_REST && whole != words_each);
        // A program begins at a multiple of 4096, so that its bursts fall as those from 0 on.
        client.offset = state == ASK_FOR_HEADER ? 0 : words_each;
        client.length = state == ASK_FOR_HEADER ? words_each : whole - words_each;
        client.ready = state == GATHER;
        return client;
    }

    Activity activity(bool taken) const {
        switch (state) {
        case IDLE_STATE:
            return IDLE;
        case GATHER:
            return WAIT_DRAM;
        case CHECK:
            return position != 0 && !taken ? WAIT_OUTPUT : BUSY;
        default:
            return BUSY;
        }
    }

    void clock(bool taken, bool request_ready, bool word) {
        switch (state) {
        case IDLE_STATE:
            break;
        case ASK_FOR_HEADER:
            if (request_ready)
                state = GATHER;
            break;
        case GATHER:
            if (word) {
                gathered = words_each > 1 ? gathered + 1 : parts;
                if (words_each == 1 || gathered == words_each)
                    state = CHECK;
            }
            break;
        case CHECK:
            if (position == 0)
                state = ASK_FOR_REST;
            else if (taken)
                advance();
            break;
        case ASK_FOR_REST:
            if (request_ready || !client().request)
                advance();
            break;
        }
    }

private:
    enum State { IDLE_STATE, ASK_FOR_HEADER, GATHER, CHECK, ASK_FOR_REST };

    void advance() {
        bool last = position != 0 && position + 1 == program.size();
        state = last ? IDLE_STATE : parts > 1 && gathered > 1 ? CHECK : GATHER;
        gathered = parts > 1 ? gathered - 1 : 0;
        position++;
    }

    const std::vector<Instruction> &program;
    int64_t word_bytes, words_each, parts;
    State state = ASK_FOR_HEADER;
    size_t position = 0;
    int64_t gathered = 0;
};

class TokenCounters {
public:
    bool ready(int consumer, int64_t waits) const { return (waits & ~there[consumer]) == 0; }

    void take(int consumer, int64_t waits) {
        for (int producer = 0; producer < ENGINES; producer++)
            if (waits >> producer & 1)
                change(producer, consumer, -1);
    }

    void give(int producer, int64_t signals) {
        for (int consumer = 0; consumer < ENGINES; consumer++)
            if (signals >> consumer & 1)
                change(producer, consumer, 1);
    }

    bool overflow() const {
        for (const auto &row : counts)
            for (int count : row)
                if (count > TOKEN_LIMIT)
                    return true;
        return false;
    }

private:
    void change(int producer, int consumer, int by) {
        int &count = counts[producer][consumer];
        count += by;
        there[consumer] = (there[consumer] & ~(1ll << producer)) | int64_t(count > 0) << producer;
    }

    int counts[ENGINES][ENGINES] = {};
    int64_t there[ENGINES] = {}; // producers of which there is a token
};

// hw/control/engine.py: one instruction at a time, three cycles before it runs.
class EngineControl {
public:
    const Instruction *op = nullptr; // whose fields are loaded
    bool running = false;

    bool starts() const { return checked; }

    Activity activity(bool offered, Activity own) const {
        return running ? own : offered ? BUSY : IDLE;
    }

    // Whether the engine has nothing to do in this cycle nor in the next.
    bool idle(const Instruction *offered) const { return !running && !checked && !offered; }

    void clock(const Instruction *offered, bool finish) {
        bool load = offered && !running && !loaded && !checked;
        if (load)
            op = offered;
        if (checked)
            running = true;
        else if (finish)
            running = false;
        checked = loaded;
        loaded = load;
    }

private:
    bool loaded = false, checked = false;
};

// The instruction in front of each engine, and the tokens.
class Sequencer {
public:
    Sequencer(const Config &config, const std::vector<Instruction> &program,
              std::vector<Trace> &traces)
        : fetch(config, program), program(program), traces(traces),
          signals(ENGINES, Fifo<int64_t>(INSTRUCTIONS_UNDER_WAY)) {}

    InstructionFetch fetch;

    // The instruction that is offered to each engine in this cycle, or none.
    const Instruction *offered[ENGINES] = {};

    // That in front of the engine.
    const Instruction *next(int engine) const { return waiting[engine]; }
    bool waits_for_token(int engine) const {
        return waiting[engine] && !tokens.ready(engine, waiting[engine]->wait);
    }

    int64_t layer(int engine) const { return layers[engine]; }
    Trace &trace(const Instruction *op) const { return traces[op - program.data()]; }
    bool finished() const { return end && tokens.ready(CONTROL, end->wait); }
    bool ending() const { return end; }
    bool overflow = false; // a token counter was full

    // Whether what the fetch unit offers is taken, given which engines take theirs.
    bool fetch_taken(const bool *go) const {
        if (!fetch.valid())
            return false;
        int engine = int(program[fetch.index()].engine);
        return engine == CONTROL ? !end : !waiting[engine] || go[engine];
    }

    // One cycle: which engines take their instruction, and which are done with one.
    void clock(uint64_t cycle, const bool *go, const bool *done, bool request_ready, bool word) {
        bool taken = fetch_taken(go), moves = taken, given = false;
        for (int engine = 1; engine < ENGINES; engine++) {
            given |= done[engine];
            moves |= go[engine] || done[engine];
        }
        if (moves)
            exchange(cycle, taken, go, done);
        if (given)
            overflow = tokens.overflow();
        fetch.clock(taken, request_ready, word);
    }

private:
    // Instructions and tokens change hands; in most cycles none does.
    void exchange(uint64_t cycle, bool taken, const bool *go, const bool *done) {
        for (int engine = 1; engine < ENGINES; engine++) {
            const Instruction *op = waiting[engine];
            bool at_once = go[engine] && done[engine] && !signals[engine].r_rdy();
            if (done[engine])
                tokens.give(engine, at_once ? op->signal : signals[engine].front());
            if (go[engine]) {
                tokens.take(engine, op->wait);
                layers[engine] = op->layer;
                waiting[engine] = nullptr;
            }
            if (go[engine] || done[engine])
                signals[engine].clock(go[engine] && !at_once, done[engine] && !at_once,
                                      op ? op->signal : 0);
        }
        if (taken) {
            const Instruction *op = &program[fetch.index()];
            if (op->engine == CONTROL) {
                end = op;
                trace(op).dispatched = trace(op).start = cycle + 1;
            } else {
                waiting[op->engine] = op;
            }
        }
        for (int engine = 1; engine < ENGINES; engine++) {
            const Instruction *op = waiting[engine];
            bool ready = op && tokens.ready(engine, op->wait) && signals[engine].w_rdy();
            offered[engine] = ready ? op : nullptr;
        }
    }

    const std::vector<Instruction> &program;
    std::vector<Trace> &traces;
    TokenCounters tokens;
    const Instruction *waiting[ENGINES] = {};
    const Instruction *end = nullptr;
    int64_t layers[ENGINES] = {};
    std::vector<Fifo<int64_t>> signals; // of instructions that are taken and not done
};

} // namespace
