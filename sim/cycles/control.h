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
    // The program is at byte `offset` of the memory.
    InstructionFetch(const Config &config, const std::vector<Instruction> &program, uint64_t offset)
        : program(program), word_bytes(config.dram_bytes_per_cycle),
          first_word(int64_t(offset) / word_bytes),
          words_each(std::max<int64_t>(1, INSTRUCTION_BYTES / word_bytes)),
          parts(std::max<int64_t>(1, word_bytes / INSTRUCTION_BYTES)) {}

    bool valid() const { return state == OFFER; }
    size_t index() const { return position; }

    ReadClient client() const {
        ReadClient client;
        client.request = state == ASK_FOR_HEADER || state == ASK_FOR_REST;
        client.offset = first_word + (state == ASK_FOR_HEADER ? 0 : words_each);
        client.length = state == ASK_FOR_HEADER ? words_each : rest();
        client.ready = state == GATHER;
        return client;
    }

    Activity activity(bool taken) const {
        switch (state) {
        case IDLE_STATE:
            return IDLE;
        case GATHER:
            return WAIT_DRAM;
        case OFFER:
            return taken ? BUSY : WAIT_OUTPUT;
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
                    settle();
            }
            break;
        case SETTLE:
            if (--settling == 0)
                state = JUDGE;
            break;
        case JUDGE:
            state = position == 0 ? MEASURE : OFFER;
            break;
        case MEASURE:
            if (rest() != 0)
                state = ASK_FOR_REST;
            else
                advance();
            break;
        case OFFER:
            if (taken)
                advance();
            break;
        case ASK_FOR_REST:
            if (request_ready)
                advance();
            break;
        }
    }

private:
    enum State { IDLE_STATE, ASK_FOR_HEADER, GATHER, SETTLE, JUDGE, MEASURE, OFFER, ASK_FOR_REST };

    // DRAM words behind those of the header.
    int64_t rest() const {
        int64_t last = int64_t(program.size()) - 1;
        return parts > 1 ? last / parts : last * words_each;
    }

    void settle() {
        state = SETTLE;
        settling = 3; // settle_cycles() of hw/control/instruction_fetch.py
        for (int64_t bytes = std::min<int64_t>(word_bytes, INSTRUCTION_BYTES); bytes > 4; bytes /= 2)
            settling++;
    }

    void advance() {
        bool last = position != 0 && position + 1 == program.size();
        if (last)
            state = IDLE_STATE;
        else if (parts > 1 && gathered > 1)
            settle();
        else
            state = GATHER;
        gathered = parts > 1 ? gathered - 1 : 0;
        position++;
    }

    const std::vector<Instruction> &program;
    int64_t word_bytes, first_word, words_each, parts;
    State state = ASK_FOR_HEADER;
    size_t position = 0;
    int64_t gathered = 0, settling = 0;
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

// hw/control/engine.py: one instruction at a time, three cycles before it runs; taken in the cycle
// after the one in which it is finished.
class EngineControl {
public:
    const Instruction *op = nullptr; // whose fields are loaded
    bool running = false, taken = false;

    bool starts() const { return checked; }

    Activity activity(bool offered, Activity own) const {
        return running ? own : offered ? BUSY : IDLE;
    }

    // Whether the engine has nothing to do in this cycle nor in the next.
    bool idle(const Instruction *offered) const { return !running && !checked && !offered; }

    void clock(const Instruction *offered, bool finish) {
        bool load = offered && !running && !loaded && !checked && !taken;
        if (load)
            op = offered;
        if (checked)
            running = true;
        else if (finish)
            running = false;
        checked = loaded;
        loaded = load;
        taken = finish;
    }

private:
    bool loaded = false, checked = false;
};

// The instruction in front of each engine, and the tokens.
class Sequencer {
public:
    Sequencer(const Config &config, const std::vector<Instruction> &program,
              std::vector<Trace> &traces, uint64_t offset)
        : fetch(config, program, offset), program(program), traces(traces),
          signals(ENGINES, Fifo<int64_t>(INSTRUCTIONS_UNDER_WAY)) {}

    InstructionFetch fetch;

    // The instruction that is offered to each engine in this cycle, or none.
    const Instruction *offered[ENGINES] = {};

    // That in front of the engine.
    const Instruction *next(int engine) const { return waiting[engine]; }
    bool waits_for_token(int engine) const { return waiting[engine] && !offered[engine]; }

    int64_t layer(int engine) const { return layers[engine]; }
    Trace &trace(const Instruction *op) const { return traces[op - program.data()]; }
    bool finished = false; // END had its tokens in the cycle before
    bool ending() const { return end; }
    bool overflow = false; // a token counter was full

    // Whether what the fetch unit offers is taken.
    bool fetch_taken() const {
        if (!fetch.valid())
            return false;
        int engine = int(program[fetch.index()].engine);
        return engine == CONTROL ? !end : !waiting[engine];
    }

    // One cycle: which engines take their instruction, and which are done with one.
    void clock(uint64_t cycle, const bool *go, const bool *done, bool request_ready, bool word) {
        bool taken = fetch_taken(), moves = taken;
        for (int engine = 1; engine < ENGINES; engine++)
            moves |= go[engine] || done[engine];
        quiet = moves ? 0 : quiet + 1;
        if (quiet < SETTLED)
            exchange(cycle, taken, go, done);
        fetch.clock(taken, request_ready, word);
    }

private:
    // So many cycles after the last instruction or token nothing changes any more.
    static constexpr uint64_t SETTLED = 4;

    struct Change {
        int engine;
        int64_t wait, signal;
    };

    void exchange(uint64_t cycle, bool taken, const bool *go, const bool *done) {
        bool given = false;
        if (end && !finished && tokens.ready(CONTROL, end->wait)) {
            finished = true;
            end = nullptr;
        }
        for (int engine = 1; engine < ENGINES; engine++) {
            const Instruction *op = waiting[engine];
            // Offered from the next cycle on.
            const Instruction *next = nullptr;
            if (op && !go[engine] && tokens.ready(engine, op->wait) && signals[engine].w_rdy())
                next = op;
            bool at_once = go[engine] && was_done[engine] && !signals[engine].r_rdy();
            if (go[engine] || was_done[engine]) {
                int64_t given_signal = !was_done[engine] ? 0 : at_once ? op->signal : signals[engine].front();
                changes.push_back({engine, go[engine] ? op->wait : 0, given_signal});
                signals[engine].clock(go[engine] && !at_once, was_done[engine] && !at_once,
                                      op ? op->signal : 0);
                given |= was_done[engine];
            }
            if (go[engine]) {
                layers[engine] = op->layer;
                waiting[engine] = nullptr;
            }
            offered[engine] = next;
            was_done[engine] = done[engine];
        }
        for (const Change &change : changes) {
            tokens.give(change.engine, change.signal);
            tokens.take(change.engine, change.wait);
        }
        changes.clear();
        if (given)
            overflow = tokens.overflow();
        if (taken) {
            const Instruction *op = &program[fetch.index()];
            if (op->engine == CONTROL) {
                end = op;
                trace(op).dispatched = trace(op).start = cycle + 1;
            } else {
                waiting[op->engine] = op;
            }
        }
    }

    const std::vector<Instruction> &program;
    std::vector<Trace> &traces;
    TokenCounters tokens;
    const Instruction *waiting[ENGINES] = {};
    const Instruction *end = nullptr;
    uint64_t quiet = 0;
    bool was_done[ENGINES] = {}; // in the cycle before
    std::vector<Change> changes;
    int64_t layers[ENGINES] = {};
    std::vector<Fifo<int64_t>> signals; // of instructions that are taken and not done
};

} // namespace
