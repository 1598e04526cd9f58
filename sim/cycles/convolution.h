// CONV: hw/conv/weight_unpacker.py, hw/conv/admission.py, hw/conv/systolic_array.py,
// hw/conv/interconnect.py, hw/memory/accumulation_memory.py, and hw/conv/activation_reader.py and
// hw/conv/convolution_engine.py around them.
//
// Pixels enter all modules together and go through to the banks without a stop, so one way stands
// for all. Bank 0 takes part in every tile and the others in some of them, in the same cycles. So
// bank 0 stands for all.

#pragma once

#include "activation_reader.h"

namespace {

class WeightUnpacker {
public:
    explicit WeightUnpacker(const Config &config)
        : rows(config.rows),
          table_rows(std::max<int64_t>(1, TABLE_BYTES / (config.modules * config.columns))),
          words(config.modules * config.columns / config.dram_bytes_per_cycle) {}

    bool ready() const { return state == WAITING; }
    bool parameters(bool word) const { return state == PARAMETERS && row(word); }
    bool table(bool word) const { return state == TABLE && row(word); }
    bool at_table() const { return state == TABLE; }
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
                state = CHECK;
            break;
        case CHECK:
            begin_parameters();
            if (op->table) {
                rows_left = table_rows - 1;
                state = TABLE;
            }
            break;
        case TABLE:
            if (taken && rows_left-- == 0)
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
    enum State { WAITING, HEADER, CHECK, TABLE, PARAMETERS, WEIGHTS_STATE };

    bool row(bool word) const { return word && count == words - 1; }
    bool row_ready(bool parameters_ready, bool weights_ready) const {
        switch (state) {
        case WAITING:
        case CHECK:
            return false;
        case HEADER:
            return true;
        case TABLE:
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

    int64_t rows, table_rows, words, count = 0;
    const Instruction *op = nullptr;
    State state = WAITING;
    int64_t rows_left = 0, pixel_tiles_left = 0, channel_tiles_left = 0;
};

class Admission {
public:
    explicit Admission(const Config &config) : rows(config.rows) {}

    bool has_weights() const { return in_use || complete; }
    bool has_credit() const { return credits != 0; }
    bool weights_ready() const { return !(complete && in_use); }
    bool admits(bool begins) const { return has_weights() && (!begins || has_credit()); }

    void clock(bool row, bool pixel, bool begins, bool ends_pass, bool released) {
        bool swap = complete && !in_use;
        in_use = has_weights() && !(pixel && ends_pass);
        complete &= !swap;
        if (row && ++load_row == rows) {
            load_row = 0;
            complete = true;
        }
        credits += int(released) - int(pixel && begins);
    }

private:
    int64_t rows, load_row = 0;
    bool in_use = false, complete = false;
    int credits = 2;
};

// Pixels on their way, one for each cycle.
class Way {
public:
    explicit Way(int64_t cycles) : stages(size_t(cycles)) {}

    uint8_t end() const { return stages[position]; }

    void clock(uint8_t pixel) {
        stages[position] = pixel;
        position = position + 1 == stages.size() ? 0 : position + 1;
    }

private:
    std::vector<uint8_t> stages;
    size_t position = 0;
};

class AccumulationMemory {
public:
    bool valid() const { return level != 0; } // a pixel is there to drain
    bool released = false;

    void clock(uint8_t pixel, bool pixel_taken) {
        bool moves = fetched && level != SLOTS;
        bool fetches = full[tile] && (!fetched || moves);
        released = moves && fetched_last;
        if (released)
            full[fetched_tile] = false;
        if (moves)
            fetched = false;
        if (fetches) {
            fetched = true;
            fetched_tile = tile;
            fetched_last = index == last_index[tile];
            index = fetched_last ? 0 : index + 1;
            tile ^= int(fetched_last);
        }
        level += int(moves) - int(pixel_taken);

        uint8_t written = adders.end();
        adders.clock(pixel);
        if (!(written & VALID))
            return;
        if (written & LAST && written & FINAL) {
            full[fill_tile] = true;
            last_index[fill_tile] = fill_index;
            fill_tile ^= 1;
        }
        fill_index = written & LAST ? 0 : fill_index + 1;
    }

private:
    static constexpr int SLOTS = 2;

    Way adders{ACCUMULATION_LATENCY - 1}; // to the cycle in which a sum is written
    bool full[2] = {false, false};
    int64_t last_index[2] = {0, 0}, fill_index = 0, index = 0;
    int fill_tile = 0, tile = 0, fetched_tile = 0, level = 0;
    bool fetched = false, fetched_last = false;
};

class ConvolutionEngine {
public:
    explicit ConvolutionEngine(const Config &config)
        : unpacker(config), stepper(config), admission(config), way(way_length(config)) {}

    AccumulationMemory memory;
    WeightUnpacker unpacker;

    bool go = false, done = false;
    const Instruction *finished = nullptr; // when it is done
    Activity activity = IDLE;
    const Instruction *current() const { return walker.running ? walker.op : nullptr; }
    bool pixel_enters() const { return enters; }

    // What follows from the state alone.
    void settle(const Instruction *offered) {
        op = offered;
        enters = walker.valid() && admission.admits(walker.begins);
        done = ended.end();

        bool reader = fork.valid(0, op);
        stepper_takes = reader_fork.valid(0, reader) && stepper.ready();
        walker_takes = reader_fork.valid(1, reader) && preparation.prepared() && walker.ready();
        reader_takes = reader && reader_fork.serves(stepper_takes, walker_takes);
        unpacker_takes = fork.valid(1, op) && preparation.judged() && unpacker.ready();
        go = op && fork.serves(reader_takes, unpacker_takes);

        if (!walker.running && !op)
            activity = IDLE;
        else if (enters)
            activity = BUSY;
        else if (walker.valid() && walker.begins && !admission.has_credit())
            activity = WAIT_ACCUMULATION;
        else
            activity = admission.has_weights() ? WAIT_FEATURE : WAIT_WEIGHTS;
    }

    bool word_ready(bool parameters_ready) const {
        return unpacker.word_ready(parameters_ready, admission.weights_ready());
    }

    void clock(bool word, bool parameters_ready, bool pixel_drained) {
        bool weights_ready = admission.weights_ready();
        bool row = unpacker.weights(word) && weights_ready;
        bool released = memory.released;
        uint8_t summed = way.end();
        memory.clock(summed, pixel_drained);
        way.clock(enters ? walker.pixel() : 0);
        bool closing = enters && walker.closing();
        if (closing)
            finished = walker.op;
        ended.clock(closing);
        admission.clock(row, enters, walker.begins, walker.ends_pass(), released);
        unpacker.clock(unpacker_takes ? op : nullptr, word, parameters_ready, weights_ready);

        bool reader = fork.valid(0, op);
        preparation.clock(reader, reader_takes);
        bool pass_taken = walker.pass_ready(enters);
        walker.clock(walker_takes ? op : nullptr, stepper, enters);
        stepper.clock(stepper_takes ? op : nullptr, pass_taken);
        reader_fork.clock(stepper_takes, walker_takes);
        fork.clock(reader_takes, unpacker_takes);
    }

private:
    // From the entry of a pixel to that of its sums into the banks.
    static int64_t way_length(const Config &config) {
        int64_t levels = 0;
        while (1ll << levels < config.modules)
            levels++;
        return ENTRY_LATENCY + config.rows + config.columns - 2 + ELEMENT_LATENCY + levels;
    }

    Preparation preparation;
    SliceStepper stepper;
    PixelWalker walker;
    Admission admission;
    Way way, ended{WALK_LATENCY};
    StreamFork fork, reader_fork;

    const Instruction *op = nullptr;
    bool enters = false; // a pixel
    bool stepper_takes = false, walker_takes = false, reader_takes = false, unpacker_takes = false;
};

} // namespace
