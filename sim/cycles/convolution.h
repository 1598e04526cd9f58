// CONV: hw/conv/weight_unpacker.py, hw/conv/convolution_module.py, hw/conv/interconnect.py,
// hw/memory/accumulation_memory.py, and hw/conv/activation_reader.py and hw/conv/convolution_engine.py around them.
//
// Modules work in lock-step, so one stands for all. Bank 0 takes part in every tile and the others
// in some of them, in the same cycles: whenever one of them keeps somebody waiting, bank 0 does
// too. So bank 0 stands for all.

#pragma once

#include "activation_reader.h"

namespace {

class WeightUnpacker {
public:
    explicit WeightUnpacker(const Config &config)
        : rows(config.rows),
          words(config.modules * config.columns / config.dram_bytes_per_cycle) {}

    bool ready() const { return state == WAITING; }
    bool parameters(bool word) const { return state == PARAMETERS && row(word); }
    bool last_parameters() const { return rows_left == 0; }
    bool weights(bool word) const { return state == WEIGHTS_STATE && row(word); }

    // Whether it takes a DRAM word that is there.
    bool word_ready(bool parameters_ready, bool weights_ready) const {
        return count != words - 1 || row_ready(parameters_ready, weights_ready);
    }

    void clock(const Instruction *offered, bool word, bool parameters_ready, bool weights_ready) {
        bool taken = row(word) && row_ready(parameters_ready, weights_ready);
        if (word && word_ready(parameters_ready, weights_ready))
            count = count == words - 1 ? 0 : count + 1;
        switch (state) {
        case WAITING:
            if (offered) {
                op = offered;
                pixel_tiles_left = op->pixel_tiles - 1;
                channel_tiles_left = op->channel_tiles - 1;
                state = HEADER;
            }
            break;
        case HEADER:
            if (taken)
                begin_parameters();
            break;
        case PARAMETERS:
            if (taken && rows_left-- == 0) {
                rows_left = op->passes * rows - 1;
                state = WEIGHTS_STATE;
            }
            break;
        case WEIGHTS_STATE:
            if (!taken || rows_left-- != 0)
                break;
            begin_parameters();
            if (pixel_tiles_left-- == 0) {
                pixel_tiles_left = op->pixel_tiles - 1;
                if (channel_tiles_left-- == 0)
                    state = WAITING;
            }
            break;
        }
    }

private:
    enum State { WAITING, HEADER, PARAMETERS, WEIGHTS_STATE };

    bool row(bool word) const { return word && count == words - 1; }
    bool row_ready(bool parameters_ready, bool weights_ready) const {
        switch (state) {
        case WAITING:
            return false;
        case HEADER:
            return true;
        case PARAMETERS:
            return parameters_ready;
        default:
            return weights_ready;
        }
    }
    void begin_parameters() {
        rows_left = (PARAMETER_BYTES - 1) >> op->split;
        state = PARAMETERS;
    }

    int64_t rows, words, count = 0;
    const Instruction *op = nullptr;
    State state = WAITING;
    int64_t rows_left = 0, pixel_tiles_left = 0, channel_tiles_left = 0;
};

class ConvolutionModule {
public:
    explicit ConvolutionModule(const Config &config)
        : rows(config.rows), stages(config.rows + config.columns - 1) {}

    uint8_t sums() const { return stages[position]; }
    bool weights_ready(bool enable) const { return enable && !full[load_plane]; }
    bool activations_ready(bool enable) const { return enable && full[plane]; }

    // `pixel` is what is taken in this cycle, 0 if nothing.
    void clock(bool enable, bool weights, uint8_t pixel) {
        if (weights && ++load_row == rows) {
            load_row = 0;
            full[load_plane] = true;
            load_plane ^= 1;
        }
        if (pixel & LAST) {
            full[plane] = false;
            plane ^= 1;
        }
        if (enable) {
            stages[position] = pixel;
            position = position + 1 == stages.size() ? 0 : position + 1;
        }
    }

private:
    int64_t rows, load_row = 0;
    bool full[2] = {false, false};
    int load_plane = 0, plane = 0;
    std::vector<uint8_t> stages;
    size_t position = 0;
};

class Interconnect {
public:
    // What is on offer to the banks while `sums` is at the entrance.
    uint8_t banks(uint8_t sums) const {
        int open = level(sums);
        return open ? nodes[open] : enters(sums) ? sums : 0;
    }
    bool enable(uint8_t sums, bool banks_ready) const {
        return !(banks(sums) & VALID) || banks_ready;
    }
    bool sums_ready(uint8_t sums, bool banks_ready) const {
        return enable(sums, banks_ready) && enters(sums);
    }

    void clock(uint8_t sums, bool banks_ready) {
        if (!enable(sums, banks_ready))
            return;
        int open = level(sums);
        bool in = (sums & VALID) && enters(sums);
        for (int number = MOST_LEVELS; number > 1; number--)
            nodes[number] = open >= number ? nodes[number - 1] : 0;
        nodes[1] = in && open >= 1 ? sums : 0;
        if (in)
            inside = sums >> SPLIT_SHIFT;
        busy = false;
        for (uint8_t node : nodes)
            busy |= (node & VALID) != 0;
    }

private:
    static constexpr int MOST_LEVELS = 3; // modules are at most 8

    bool enters(uint8_t sums) const { return !busy || sums >> SPLIT_SHIFT == inside; }
    int level(uint8_t sums) const { return busy ? inside : sums >> SPLIT_SHIFT; }

    uint8_t nodes[MOST_LEVELS + 1] = {};
    int inside = 0;
    bool busy = false;
};

class AccumulationMemory {
public:
    bool ready() const { return !full[fill_tile]; }
    bool valid = false; // a pixel is there to drain

    void clock(uint8_t pixel, bool pixel_taken) {
        bool finished = valid && pixel_taken && last;
        bool drains = full[drain_tile] && (!valid || pixel_taken);
        int finished_tile = pixel_tile;
        if (!valid || pixel_taken) {
            valid = drains;
            if (drains) {
                last = drain_index == last_index[drain_tile];
                pixel_tile = drain_tile;
                drain_index = last ? 0 : drain_index + 1;
                drain_tile ^= int(last);
            }
        }
        if (finished)
            full[finished_tile] = false;
        if (pixel & VALID) {
            if (pixel & LAST && pixel & FINAL) {
                full[fill_tile] = true;
                last_index[fill_tile] = index;
                fill_tile ^= 1;
            }
            index = pixel & LAST ? 0 : index + 1;
        }
    }

private:
    bool full[2] = {false, false};
    int64_t last_index[2] = {0, 0}, index = 0, drain_index = 0;
    int fill_tile = 0, drain_tile = 0, pixel_tile = 0;
    bool last = false;
};

class ConvolutionEngine {
public:
    explicit ConvolutionEngine(const Config &config)
        : unpacker(config), module(config) {}

    AccumulationMemory memory;
    WeightUnpacker unpacker;

    bool go = false, done = false;
    bool asked = false; // a window, in this cycle
    Activity activity = IDLE;
    const Instruction *current() const { return walker.running ? walker.op : nullptr; }
    bool pixel_enters() const { return pixel != 0; }

    // What follows from the state alone.
    void settle(const Instruction *offered) {
        op = offered;
        uint8_t sums = module.sums();
        banks_ready = memory.ready();
        bool sums_ready = interconnect.sums_ready(sums, banks_ready);
        enable = !(sums & VALID) || sums_ready;
        pixels_ready = module.activations_ready(enable);
        weights_ready = module.weights_ready(enable);
        bool answered = buffer.valid() && pixels_ready;
        pixel = answered ? uint8_t(VALID | tag | walker.op->split << SPLIT_SHIFT) : 0;
        asked = walker.active && outstanding != OUTSTANDING_WINDOWS && buffer.room(pixels_ready);
        done = walker.closing && answered && outstanding == 1;

        bool reader = fork.valid(0, op);
        stepper_takes = reader_fork.valid(0, reader) && stepper.ready();
        walker_takes = reader_fork.valid(1, reader) && walker.ready(done);
        reader_takes = reader && reader_fork.serves(stepper_takes, walker_takes);
        unpacker_takes = fork.valid(1, op) && unpacker.ready();
        go = op && fork.serves(reader_takes, unpacker_takes);

        if (!walker.running && !op)
            activity = IDLE;
        else if (pixel)
            activity = BUSY;
        else if (sums & VALID && !sums_ready)
            activity = WAIT_ACCUMULATION;
        else
            activity = pixels_ready ? WAIT_FEATURE : WAIT_WEIGHTS;
    }

    bool word_ready(bool parameters_ready) const {
        return unpacker.word_ready(parameters_ready, weights_ready);
    }

    void clock(bool word, bool parameters_ready, bool pixel_drained) {
        uint8_t sums = module.sums();
        uint8_t banks = interconnect.banks(sums);
        bool taken = banks & VALID && banks_ready;
        memory.clock(taken ? banks : 0, pixel_drained);
        interconnect.clock(sums, banks_ready);
        module.clock(enable, unpacker.weights(word) && weights_ready, pixel);
        unpacker.clock(unpacker_takes ? op : nullptr, word, parameters_ready, weights_ready);

        const Instruction *walker_offer =
            reader_fork.valid(1, fork.valid(0, op)) ? op : nullptr;
        if (asked)
            tag = walker.tag();
        bool pass_taken = walker.pass_ready(asked);
        walker.clock(walker_offer, stepper, asked, done);
        stepper.clock(stepper_takes ? op : nullptr, pass_taken);
        buffer.clock(asked, pixels_ready);
        outstanding += int(asked) - int(pixel != 0);
        reader_fork.clock(stepper_takes, walker_takes);
        fork.clock(reader_takes, unpacker_takes);
    }

private:
    SliceStepper stepper;
    PixelWalker walker;
    SkidBuffer buffer; // of the window's answer, in the feature memory
    uint8_t tag = 0;   // of that answer
    int outstanding = 0;
    ConvolutionModule module;
    Interconnect interconnect;
    StreamFork fork, reader_fork;

    const Instruction *op = nullptr;
    uint8_t pixel = 0; // that enters the modules
    bool enable = false, banks_ready = false, pixels_ready = false, weights_ready = false;
    bool stepper_takes = false, walker_takes = false, reader_takes = false, unpacker_takes = false;
};

} // namespace
