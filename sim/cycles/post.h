// POST: hw/post/tile_walker.py, hw/memory/parameter_memory.py, and hw/post/post_engine.py around them.

#pragma once

#include "control.h"

namespace {

class ParameterMemory {
public:
    bool ready() const { return !full[fill_tile]; }
    bool available() const { return full[read_tile]; }

    void clock(bool last_row, bool release) {
        if (last_row) {
            full[fill_tile] = true;
            fill_tile ^= 1;
        }
        if (release) {
            full[read_tile] = false;
            read_tile ^= 1;
        }
    }

private:
    bool full[2] = {false, false};
    int fill_tile = 0, read_tile = 0;
};

class TileWalker {
public:
    explicit TileWalker(const Config &config)
        : modules(config.modules), post_words(config.lanes / config.rows) {}

    bool valid = false;
    int64_t address() const { return pixel_address + first_word; }
    int64_t count() const { return std::min(left(), post_words); }
    bool ends_pixel() const { return left() <= post_words; }
    bool ends_tile() const {
        return ends_pixel() && pixel == (last_tile() ? op->last_pixels : op->tile_pixels) - 1;
    }
    bool ends_layer() const { return ends_tile() && last_tile() && words_left <= group; }

    void start(const Instruction *instruction, int64_t base, int64_t row_pitch) {
        op = instruction;
        pitch = row_pitch;
        group = modules >> op->split;
        words_left = op->out_words;
        tile_address = row_address = pixel_address = base;
        valid = true;
    }

    void take() {
        bool pixel_ends = ends_pixel(), tile_ends = ends_tile(), layer_ends = ends_layer();
        first_word += post_words;
        if (pixel_ends) {
            first_word = 0;
            pixel++;
            pixel_address += op->out_words;
            if (++column == op->out_width) {
                column = 0;
                row_address += pitch;
                pixel_address = row_address;
            }
        }
        if (tile_ends) {
            bool last = last_tile();
            pixel = 0;
            tile++;
            if (last) {
                tile = column = 0;
                words_left -= group;
                tile_address += group;
                row_address = pixel_address = tile_address;
            }
        }
        valid = !layer_ends;
    }

private:
    int64_t left() const { return std::min(words_left, group) - first_word; }
    bool last_tile() const { return tile == op->pixel_tiles - 1; }

    int64_t modules, post_words;
    const Instruction *op = nullptr;
    int64_t pitch = 0, group = 0, first_word = 0, words_left = 0, column = 0, pixel = 0, tile = 0;
    int64_t tile_address = 0, row_address = 0, pixel_address = 0;
};

class PostEngine {
public:
    explicit PostEngine(const Config &config)
        : config(config), order(config), residual_order(config),
          targets(int64_t(1) << ceil_log2(1 + REQUANTIZER_LATENCY + ADDER_LATENCY)),
          operands(RESIDUAL_WORDS) {}

    EngineControl control;
    ParameterMemory parameters;
    bool finish = false;
    bool issue = false, drained = false; // words, and the last ones of a pixel, are taken
    uint32_t write_banks = 0;            // that are written in this cycle
    uint32_t read_banks = 0;             // that the residual is asked from
    Activity activity = IDLE;

    // What follows from the state; nobody goes before POST at the feature memory.
    void settle(const Instruction *offered, bool pixel) {
        residual = control.op && control.op->residual;
        bool valid = bit(pipeline, REQUANTIZER_LATENCY);
        bool sum_valid = bit(sums, ADDER_LATENCY - 1);
        bool ready = !residual || operands.r_rdy();
        written = residual ? sum_valid : valid;
        free = !valid || ready;
        issue = order.valid && pixel && parameters.available() && free && targets.w_rdy();
        drained = issue && order.ends_pixel();
        write_banks = written ? banks(config, targets.front().address, targets.front().count) : 0;
        read_banks = residual_order.valid
                         ? banks(config, residual_order.address(), residual_order.count())
                         : 0;
        finish = control.running && written && targets.front().last;
        Activity own = BUSY;
        if (!issue && !written) {
            if (residual && valid && !operands.r_rdy())
                own = WAIT_FEATURE;
            else if (order.valid && !pixel)
                own = WAIT_ACCUMULATION;
            else if (order.valid && !parameters.available())
                own = WAIT_WEIGHTS;
        }
        activity = control.activity(offered, own);
    }

    bool residual_room() const { return buffer.room(operands.w_rdy()); }

    void clock(const Instruction *offered, bool last_row, bool residual_asked) {
        if (control.idle(offered)) {
            parameters.clock(last_row, false);
            control.clock(offered, false);
            return;
        }
        bool valid = bit(pipeline, REQUANTIZER_LATENCY);
        bool adds = residual && valid && operands.r_rdy();
        bool answered = buffer.valid();
        Target target;
        if (issue)
            target = {order.address(), order.count(), order.ends_layer()};
        parameters.clock(last_row, issue && order.ends_tile());
        targets.clock(issue, written, target);
        buffer.clock(residual_asked, operands.w_rdy());
        operands.clock(answered, adds);
        sums = (sums << 1 | uint32_t(adds)) & ((1u << ADDER_LATENCY) - 1);
        if (free)
            pipeline = (pipeline << 1 | uint32_t(issue)) & ((2u << REQUANTIZER_LATENCY) - 1);
        if (issue)
            order.take();
        if (residual_asked)
            residual_order.take();
        if (control.starts()) {
            const Instruction *op = control.op;
            order.start(op, op->out_base, op->out_pitch);
            if (op->residual)
                residual_order.start(op, op->res_base, op->res_pitch);
        }
        control.clock(offered, finish);
    }

private:
    struct Target {
        int64_t address = 0, count = 0;
        bool last = false;
    };

    static int ceil_log2(int value) {
        int bits = 0;
        while (1 << bits < value)
            bits++;
        return bits;
    }

    const Config &config;
    TileWalker order, residual_order;
    Fifo<Target> targets;
    Fifo<char> operands;
    SkidBuffer buffer;                // of the residual, in the feature memory
    uint32_t pipeline = 0, sums = 0;  // valid bits of the requantizers and of the adder
    bool residual = false, written = false, free = false;
};

} // namespace
