// The whole machine in time: every queue, state and token of hw/, no data. Each block has the name
// that it has there. In a cycle, blocks first settle what they offer and take, then all clock.
//
// sim/cycles/model.py puts in front what the Python sources say: the structures, enumerations and
// constants that are not declared in C++.

#include "convolution.h"
#include "depthwise.h"
#include "load.h"
#include "pool.h"
#include "post.h"
#include "store.h"
#include "weights.h"

namespace {

constexpr int READ_IDS = 4;

class Machine {
public:
    Machine(const Config &config, const MemoryTiming &timing, uint64_t first_cycle,
            std::vector<Instruction> code, uint64_t offset, int64_t layers, uint64_t patience)
        : config(config), program(std::move(code)),
          traces(program.size(), Trace{NEVER, NEVER, NEVER, {}}),
          sequencer(this->config, program, traces, offset),
          reader(this->config, READERS), writer(this->config), load(this->config, features),
          weights(this->config), conv(this->config), post(this->config, features),
          pool(this->config, features), store(this->config, features),
          depthwise(this->config, features),
          memory(timing, size_t(this->config.dram_ports), first_cycle, READ_IDS,
                 uint64_t(this->config.dram_bytes_per_cycle / this->config.dram_ports)),
          counts(ENGINES * layers * ACTIVITIES), layers(layers), patience(patience) {}

    Verdict run(uint64_t budget) {
        for (; budget > 0; budget--) {
            if (step()) {
                for (int engine = 0; engine < ENGINES; engine++)
                    record(engine, IDLE, nullptr, true);
                return FINISHED;
            }
            if (sequencer.overflow)
                return TOKEN_OVERFLOW;
            if (result.cycles - progress >= patience)
                return STANDS_STILL;
        }
        return RUNNING;
    }

    // Figures up to now.
    Result figures() {
        for (int index = 0; index < READERS; index++)
            result.words_read[index] = beats_read[index] / memory.size();
        result.words_written = writer.words_sent;
        return result;
    }

    const std::vector<uint64_t> &histogram() const { return counts; }
    const std::vector<Trace> &trace() const { return traces; }

private:
    // One cycle; whether it was the last.
    bool step() {
        uint64_t cycle = result.cycles;
        memory.offer();
        const Instruction *const *offered = sequencer.offered;

        bool load_word = reader.word_valid(READER_LOAD);
        bool weight_word = reader.word_valid(READER_WEIGHTS);
        bool request_ready[READERS];
        for (int index = 0; index < READERS; index++)
            request_ready[index] = reader.request_ready(index);
        bool unpacker_word = weights.fifo.r_rdy();

        conv.settle(offered[CONV]);
        post.settle(offered[POST], conv.memory.valid());
        bool rows_ready =
            conv.unpacker.at_table() ? post.tables.ready() : post.parameters.ready();
        bool table_row = rows_ready && conv.unpacker.table(unpacker_word);
        bool last_row = rows_ready && conv.unpacker.parameters(unpacker_word) &&
                        conv.unpacker.last_parameters();

        load.settle(offered[LOAD], load_word);
        weights.settle(offered[WEIGHTS], weight_word, request_ready[READER_WEIGHTS]);
        bool store_words = writer.word_ready(), store_requests = writer.request_ready();
        store.settle(offered[STORE], store_words, writer.done());
        pool.settle(offered[POOL]);
        depthwise.settle(offered[DEPTHWISE]);

        bool go[ENGINES] = {false,
                            load.control.taken,
                            weights.go,
                            conv.go,
                            post.control.taken,
                            pool.control.taken,
                            store.control.taken,
                            depthwise.control.taken};
        bool done[ENGINES] = {false,     load.finish, weights.done, conv.done,
                              post.finish, pool.finish, store.finish,  depthwise.finish};
        bool finished = sequencer.finished;
        trace_all(offered, finished);
        Activity activity[ENGINES] = {
            finished             ? IDLE
            : sequencer.ending() ? WAIT_TOKEN
                                 : sequencer.fetch.activity(sequencer.fetch_taken()),
            load.activity, weights.activity, conv.activity,
            post.activity, pool.activity,    store.activity,   depthwise.activity};
        bool moves = false;
        for (size_t port = 0; port < memory.size(); port++)
            moves |= memory[port].rvalid;
        const Instruction *current[ENGINES];
        for (int engine = 0; engine < ENGINES; engine++) {
            current[engine] = sequencer.next(engine);
            if (activity[engine] == IDLE && sequencer.waits_for_token(engine))
                activity[engine] = WAIT_TOKEN;
            moves |= activity[engine] == BUSY;
        }
        result.both_busy += activity[CONV] == BUSY && activity[DEPTHWISE] == BUSY;
        if (conv.current())
            current[CONV] = conv.current();
        if (weights.current())
            current[WEIGHTS] = weights.current();
        for (int engine = 0; engine < ENGINES; engine++)
            record(engine, activity[engine], current[engine], false);

        for (size_t port = 0; port < memory.size(); port++)
            if (memory[port].rvalid)
                beats_read[memory[port].rid]++;
        result.most_weights = std::max(result.most_weights, uint64_t(weights.fifo.level()));
        bool unpacker_ready = conv.word_ready(rows_ready);
        result.weights_empty += conv.current() && unpacker_ready && !unpacker_word;

        ReadClient clients[READERS] = {sequencer.fetch.client(), load.client, weights.client};
        bool fetch_word = reader.word_valid(READER_FETCH);
        load.clock(offered[LOAD], request_ready[READER_LOAD]);
        weights.clock(offered[WEIGHTS], unpacker_ready);
        post.clock(offered[POST], last_row, table_row);
        conv.clock(unpacker_word, rows_ready, post.drained);
        pool.clock(offered[POOL]);
        depthwise.clock(offered[DEPTHWISE]);
        int64_t offset = store.offset, length = store.length;
        bool request = store.request, word = store.word;
        store.clock(offered[STORE], store_requests, store_words);
        features.clock();
        reader.clock(memory, clients);
        bool sent = writer.clock(memory, request, offset, length, word);
        sequencer.clock(cycle, go, done, request_ready[READER_FETCH], fetch_word);

        result.cycles++;
        if (moves || sent)
            progress = result.cycles;
        return finished;
    }

    // When instructions begin and end.
    void trace_all(const Instruction *const *offered, bool finished) {
        uint64_t cycle = result.cycles;
        trace_control(LOAD, load.control, offered, load.finish);
        trace_control(POST, post.control, offered, post.finish);
        trace_control(POOL, pool.control, offered, pool.finish);
        trace_control(STORE, store.control, offered, store.finish);
        trace_control(DEPTHWISE, depthwise.control, offered, depthwise.finish);
        for (int engine : {WEIGHTS, CONV})
            if (offered[engine])
                mark(sequencer.trace(offered[engine]).dispatched, cycle);
        if (weights.came)
            mark(sequencer.trace(weights.current()).start, cycle);
        if (weights.done)
            sequencer.trace(weights.current()).end = cycle;
        if (conv.pixel_enters())
            mark(sequencer.trace(conv.current()).start, cycle);
        if (conv.done)
            sequencer.trace(conv.finished).end = cycle;
        if (finished)
            traces.back().end = cycle;
    }

    void trace_control(int engine, const EngineControl &control,
                       const Instruction *const *offered, bool finish) {
        if (!offered[engine])
            return;
        Trace &trace = sequencer.trace(offered[engine]);
        mark(trace.dispatched, result.cycles);
        if (control.running)
            mark(trace.start, result.cycles);
        if (finish)
            trace.end = result.cycles;
    }

    static void mark(uint64_t &first, uint64_t cycle) {
        if (first == NEVER)
            first = cycle;
    }

    // Notes what an engine does in this cycle; what goes on for long is added up at its end.
    void record(int engine, Activity activity, const Instruction *op, bool flush) {
        Stretch &now = stretches[engine];
        int64_t layer = sequencer.layer(engine);
        if (now.activity == activity && now.op == op && now.layer == layer && !flush) {
            now.cycles++;
            return;
        }
        counts[size_t((engine * layers + now.layer) * ACTIVITIES + now.activity)] += now.cycles;
        if (now.op)
            sequencer.trace(now.op).activity[now.activity] += now.cycles;
        now = {activity, op, layer, flush ? 0u : 1u};
    }

    Result result = {};

    struct Stretch {
        Activity activity = IDLE;
        const Instruction *op = nullptr;
        int64_t layer = 0;
        uint64_t cycles = 0;
    };

    Config config;
    std::vector<Instruction> program;
    std::vector<Trace> traces;
    Sequencer sequencer;
    uint64_t beats_read[READ_IDS] = {};
    DmaReader reader;
    DmaWriter writer;
    FeatureMemory features;
    LoadEngine load;
    WeightEngine weights;
    ConvolutionEngine conv;
    PostEngine post;
    PoolEngine pool;
    StoreEngine store;
    DepthwiseEngine depthwise;
    MemoryPorts memory;
    Stretch stretches[ENGINES];
    std::vector<uint64_t> counts; // [engine][layer][activity]
    int64_t layers;
    uint64_t patience, progress = 0;
};

} // namespace

extern "C" {

Machine *dna_open(const Config *config, const MemoryTiming *timing, uint64_t first_cycle,
                  const Instruction *program, uint64_t length, uint64_t offset, int64_t layers,
                  uint64_t patience) {
    return new Machine(*config, *timing, first_cycle, {program, program + length}, offset, layers,
                       patience);
}

int dna_run(Machine *machine, uint64_t budget) { return machine->run(budget); }
void dna_result(Machine *machine, Result *result) { *result = machine->figures(); }
const uint64_t *dna_histogram(const Machine *machine) { return machine->histogram().data(); }
const Trace *dna_trace(const Machine *machine) { return machine->trace().data(); }
void dna_close(Machine *machine) { delete machine; }
}
