// POST: hw/post/tile_walker.py, hw/memory/parameter_memory.py, hw/post/lookup.py, and
// hw/post/post_engine.py around them.

#pragma once

#include "control.h"
#include "features.h"

namespace {

class ParameterMemory {
public:
    bool ready() const { return full != PARAMETER_TILES; }
    bool available() const { return full != 0; }

    void clock(bool last_row, bool release) { full += int(last_row) - int(release); }

private:
    int full = 0;
};

// A row is written in as many cycles as it has words.
class LookupTables {
public:
    explicit LookupTables(const Config &config)
        : words(TABLE_BYTES / TABLE_WORD_BYTES),
          parts(std::min<int64_t>(config.modules * config.columns / TABLE_WORD_BYTES, words)) {}

    bool ready() const { return left == 0 && full != TABLES; }
    bool available() const { return full != 0; }

    void clock(bool row, bool release) {
        bool written = left != 0, filled = written && word == words - 1;
        if (row)
            left = parts;
        if (written) {
            left--;
            word = filled ? 0 : word + 1;
        }
        full += int(filled) - int(release);
    }

private:
    static constexpr int TABLES = 2;

    int64_t words, parts, left = 0, word = 0;
    int full = 0;
};

// The walk, and the register of the step that it has come to.
class TileWalker {
public:
    struct Step {
        bool valid = false, ends_pixel = false, ends_tile = false, ends_layer = false;
        int64_t address = 0, count = 0;
    };

    explicit TileWalker(const Config &config)
        : modules(config.modules), post_words(config.lanes / config.rows) {}

    Step step;

    void start(const Instruction *instruction, int64_t base, int64_t row_pitch, int64_t columns) {
        op = instruction;
        pitch = row_pitch;
        width = columns;
        group = modules >> op->split;
        words_left = op->out_words;
        tile_address = row_address = pixel_address = base;
        walking = true;
    }

    void clock(bool taken) {
        if (step.valid && !taken)
            return;
        step.valid = walking;
        if (walking)
            walk();
    }

private:
    void walk() {
        int64_t left = std::min(words_left, group) - first_word;
        bool last_tile = tile == op->pixel_tiles - 1;
        step.address = pixel_address + first_word;
        step.count = std::min(left, post_words);
        step.ends_pixel = left <= post_words;
        step.ends_tile =
            step.ends_pixel && pixel == (last_tile ? op->last_pixels : op->tile_pixels) - 1;
        step.ends_layer = step.ends_tile && last_tile && words_left <= group;
        first_word += post_words;
        if (step.ends_pixel) {
            first_word = 0;
            pixel++;
            pixel_address += op->out_words;
            if (++column == width) {
                column = 0;
                row_address += pitch;
                pixel_address = row_address;
            }
        }
        if (step.ends_tile) {
            pixel = 0;
            tile++;
            if (last_tile) {
                tile = column = 0;
                words_left -= group;
                tile_address += group;
                row_address = pixel_address = tile_address;
            }
        }
        walking = !step.ends_layer;
    }

    int64_t modules, post_words;
    const Instruction *op = nullptr;
    bool walking = false;
    int64_t pitch = 0, width = 0, group = 0, first_word = 0, words_left = 0, column = 0, pixel = 0, tile = 0;
    int64_t tile_address = 0, row_address = 0, pixel_address = 0;
};

class PostEngine {
public:
    PostEngine(const Config &config, FeatureMemory &features)
        : tables(config), config(config), features(features), order(config), residual_order(config),
          targets(POST_WORDS_UNDER_WAY) {}

    EngineControl control;
    ParameterMemory parameters;
    LookupTables tables;
    bool finish = false;
    bool issue = false, drained = false; // words, and the last ones of a pixel, are taken
    Activity activity = IDLE;

    // What follows from the state.
    void settle(const Instruction *offered, bool pixel) {
        residual = control.op && control.op->residual;
        multiplies = residual && control.op->join == JOIN_PRODUCT;
        table = control.op ? int(control.op->table) : NONE;
        written = results != 0 && features.ready(POST_WRITE);
        bool operand = !residual || operands_left != 0;
        const TileWalker::Step &step = order.step;
        bool there = parameters.available() && (table == NONE || tables.available());
        issue = step.valid && pixel && there && targets.w_rdy() && operand;
        drained = issue && step.ends_pixel;
        finish = control.running && ended && !features.pending(POST_WRITE);
        Activity own = BUSY;
        if (!issue && !written) {
            if (results != 0)
                own = WAIT_FEATURE;
            else if (step.valid && !pixel)
                own = WAIT_ACCUMULATION;
            else if (step.valid && !there)
                own = WAIT_WEIGHTS;
            else if (step.valid && !operand)
                own = WAIT_FEATURE;
        }
        activity = control.activity(offered, own);
    }

    void clock(const Instruction *offered, bool last_row, bool table_row) {
        if (control.idle(offered)) {
            tables.clock(table_row, false);
            parameters.clock(last_row, false);
            control.clock(offered, false);
            return;
        }
        const TileWalker::Step step = order.step, other = residual_order.step;
        if (written)
            features.ask(POST_WRITE, banks(config, targets.front().address, targets.front().count));
        bool asked = other.valid && features.ready(RESIDUAL_READ);
        if (asked)
            features.ask(RESIDUAL_READ, banks(config, other.address, other.count));
        bool came = features.answer(RESIDUAL_READ) && operands != POST_WORDS_UNDER_WAY;
        if (came)
            features.take(RESIDUAL_READ);

        ended = (written && targets.front().last) || (ended && !finish);
        bool valid = bit(entered, CHOICE_LATENCY + REQUANTIZER_LATENCY - 2);
        bool looked = bit(looked_up, TABLE_LATENCY - 1), sum = bit(added, RESIDUAL_LATENCY - 1);
        bool sums = residual && !multiplies;
        bool adds = sums && (table == FRONT ? looked : valid);
        bool looks = table == BEHIND ? sum : valid;
        bool done = table == BEHIND || (table == FRONT && !sums) ? looked
                    : sums                                       ? sum
                                                                 : valid;
        results += int(done) - int(written);
        operands += int(came) - int(multiplies ? chosen : adds);
        operands_left += int(came) - int(issue && residual);
        added = added << 1 | uint32_t(adds);
        looked_up = looked_up << 1 | uint32_t(looks);
        bool enters = multiplies ? bit(multiplied, JOIN_PRODUCT_LATENCY - 1) : chosen;
        entered = entered << 1 | uint32_t(enters);
        multiplied = multiplied << 1 | uint32_t(chosen);
        chosen = issue;
        tables.clock(table_row, finish && table != NONE);
        parameters.clock(last_row, issue && step.ends_tile);
        targets.clock(issue, written, {step.address, step.count, step.ends_layer});
        order.clock(issue);
        residual_order.clock(asked);
        if (control.starts()) {
            const Instruction *op = control.op;
            order.start(op, op->out_base, op->out_pitch, op->out_width);
            if (op->residual)
                residual_order.start(op, op->res_base, op->res_pitch, op->res_width);
        }
        control.clock(offered, finish);
    }

private:
    enum Place { NONE, FRONT, BEHIND };

    struct Target {
        int64_t address = 0, count = 0;
        bool last = false;
    };

    const Config &config;
    FeatureMemory &features;
    TileWalker order, residual_order;
    Fifo<Target> targets;
    int results = 0, operands = 0; // in their queues
    int operands_left = 0;         // of those, for words that are not let in yet
    bool chosen = false;                            // accumulators
    uint32_t multiplied = 0, entered = 0, added = 0, looked_up = 0; // valid bits of the pipelines
    int table = NONE;
    bool residual = false, multiplies = false, written = false, ended = false;
};

} // namespace
