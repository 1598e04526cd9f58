// DEPTHWISE: hw/depthwise/row_reader.py, hw/depthwise/block_walker.py, and
// hw/depthwise/depthwise_engine.py around them.

#pragma once

#include "control.h"
#include "features.h"

namespace {

// The banks that words of `pixels` neighbouring pixels need, `count` of each from `address` on.
inline uint32_t banks_of_pixels(const Config &config, int64_t address, int64_t count, int64_t step,
                                int64_t pixels) {
    uint32_t mask = 0;
    for (int64_t pixel = 0; pixel < pixels; pixel++)
        mask |= banks(config, address + pixel * step, count);
    return mask;
}

inline int64_t divided_up(int64_t value, int64_t by) { return (value + by - 1) / by; }

// Rows of parameters and of pixels that are asked for, and what is known of the answers.
class RowReader {
public:
    explicit RowReader(const Config &config) : config(config), tags(FEATURE_READS) {}

    int64_t filled = 0; // rows of the sequence that are in the line buffer
    bool asked = false, came = false;

    bool busy() const { return walking || tags.r_rdy(); }

    void settle(const FeatureMemory &features) {
        bool valid = walking && (loading ? has_half : has_row) && tags.w_rdy();
        asked = valid && features.ready(DEPTHWISE_READ);
        came = features.answer(DEPTHWISE_READ);
    }

    void begin(const Instruction *instruction) {
        op = instruction;
        walking = loading = has_row = has_half = true;
        parameter_rows = DEPTHWISE_TAPS * divided_up(op->kernel_height, DEPTHWISE_SIDE) *
                             divided_up(op->kernel_width, DEPTHWISE_SIDE) +
                         PARAMETER_BYTES;
        group = config.depthwise_words >> op->split;
        columns = op->in_width >> op->split;
        group_address = row_address = pixel_address = op->in_base;
        parameter_address = op->parameters;
        words_left = op->in_words;
        loaded = row = column = number = held = filled = 0;
    }

    void clock(FeatureMemory &features, int64_t released, bool releases) {
        bool ends_row = false, ends_loading = false;
        if (came) {
            features.take(DEPTHWISE_READ);
            filled += tags.front();
        }
        bool ends_pixels = op && !loading && column + 1 == columns;
        tags.clock(asked, came, ends_pixels);
        if (asked && loading) {
            features.ask(DEPTHWISE_READ, banks(config, parameter_address, group));
            parameter_address += group;
            ends_loading = ++loaded == parameter_rows;
        } else if (asked) {
            features.ask(DEPTHWISE_READ,
                         banks_of_pixels(config, pixel_address, std::min(words_left, group),
                                         op->in_words, 1 << op->split));
            pixel_address += op->in_words << op->split;
            ends_row = ++column == columns;
        }
        has_half = held != 2;
        has_row = number + ends_row - released < DEPTHWISE_ROWS;
        held += int64_t(ends_loading) - int64_t(releases);
        if (ends_loading) {
            loading = false;
            loaded = 0;
        }
        if (ends_row) {
            column = 0;
            number++;
            pixel_address = row_address += op->in_pitch;
            if (++row == op->in_height) {
                row = 0;
                words_left -= group;
                walking = loading = words_left > 0;
                pixel_address = row_address = group_address += group;
            }
        }
    }

private:
    const Config &config;
    const Instruction *op = nullptr;
    Fifo<char> tags; // of what is read: whether it ends a row of pixels
    bool walking = false, loading = false, has_row = false, has_half = false;
    int64_t parameter_rows = 0, parameter_address = 0, loaded = 0, held = 0;
    int64_t group_address = 0, row_address = 0, pixel_address = 0, words_left = 0;
    int64_t group = 0, columns = 0; // words, and columns of a row, that are read at a time
    int64_t row = 0, column = 0, number = 0;
};

class BlockWalker {
public:
    explicit BlockWalker(const Config &config) : config(config) {}

    int64_t released = 0;   // rows that are not needed any more
    int64_t words_left = 0; // of a pixel, from the first of the group on

    bool valid() const { return walking && there; }
    bool last() const { return block + 1 == blocks; }
    bool ends_row() const { return last() && column + 1 == columns; }
    bool ends_group() const { return ends_row() && row + 1 == op->out_height; }
    bool ends_layer() const { return ends_group() && words_left <= group; }

    void begin(const Instruction *instruction) {
        op = instruction;
        walking = true;
        there = false;
        blocks = divided_up(op->kernel_height, DEPTHWISE_SIDE) *
                 divided_up(op->kernel_width, DEPTHWISE_SIDE);
        group = config.depthwise_words >> op->split;
        columns = op->split ? op->in_width >> op->split : op->out_width;
        block = column = row = base = leaves = leaves_end = released = 0;
        words_left = op->in_words;
    }

    void clock(bool taken, int64_t filled) {
        if (!op)
            return;
        bool row_ends = taken && ends_row(), group_ends = taken && ends_group();
        int64_t end = base + op->in_height;
        int64_t least = std::min(leaves, leaves_end);
        released = std::max(released, least);
        if (row_ends) {
            leaves = group_ends ? end : top() + op->stride;
            leaves_end = end;
        }
        if (taken && ++block == blocks) {
            block = 0;
            if (++column == columns) {
                column = 0;
                if (++row == op->out_height) {
                    row = 0;
                    base = end;
                    words_left -= group;
                    walking = words_left > 0;
                }
            }
        }
        // What the row that is on offer from now on needs, by what is there before.
        there = filled >= std::min(top() + op->kernel_height, base + op->in_height);
    }

private:
    // Number in sequence of the first row under the windows of the output row.
    int64_t top() const { return base - op->pad_top + row * op->stride; }

    const Config &config;
    const Instruction *op = nullptr;
    bool walking = false, there = false;
    int64_t group = 0, columns = 0; // words of a pixel, and steps of a row
    int64_t blocks = 0, block = 0, column = 0, row = 0;
    int64_t base = 0; // number of the first row of the group
    int64_t leaves = 0, leaves_end = 0;
};

class DepthwiseEngine {
public:
    DepthwiseEngine(const Config &config, FeatureMemory &features)
        : config(config), features(features), reader(config), walker(config),
          targets(POST_WORDS_UNDER_WAY) {}

    EngineControl control;
    bool finish = false;
    Activity activity = IDLE;

    void settle(const Instruction *offered) {
        if (control.idle(offered)) {
            activity = IDLE;
            finish = false;
            return;
        }
        reader.settle(features);
        issue = walker.valid() && targets.w_rdy();
        written = results != 0 && features.ready(DEPTHWISE_WRITE);
        finish = control.running && ended && !reader.busy() && !features.pending(DEPTHWISE_WRITE);
        bool moves = issue || reader.came || written || entered != 0;
        activity = control.activity(offered, moves ? BUSY : WAIT_FEATURE);
    }

    void clock(const Instruction *offered) {
        if (control.idle(offered))
            return;
        if (written)
            features.ask(DEPTHWISE_WRITE,
                         banks_of_pixels(config, targets.front().address, targets.front().count,
                                         control.op->in_words, pixels));
        ended = (written && targets.front().last) || (ended && !finish);
        bool window = issue && walker.last();
        targets.clock(window, written,
                      {address, std::min(walker.words_left, group),
                       window && walker.ends_layer()});
        results += int(bit(entered, WAY - 1)) - int(written);
        entered = (entered << 1 | uint32_t(window)) & ((1u << WAY) - 1);
        bool releases = issue && walker.ends_group();
        if (window) {
            address += control.op->in_words * pixels;
            if (walker.ends_row())
                address = row_address += control.op->out_pitch;
            if (releases)
                address = row_address = group_address += group;
        }
        int64_t filled = reader.filled, released = walker.released;
        reader.clock(features, released, releases);
        walker.clock(issue, filled);
        if (starting >> (DEPTHWISE_PREPARATION - 1) & 1) {
            reader.begin(control.op);
            walker.begin(control.op);
            group = config.depthwise_words >> control.op->split;
            pixels = control.op->split ? (1 << control.op->split) / control.op->stride : 1;
            address = row_address = group_address = control.op->out_base;
        }
        starting = starting << 1 | unsigned(control.starts());
        control.clock(offered, finish);
    }

private:
    // From a block that is let in to its result in the queue in front of the write port.
    static constexpr int WAY = LINE_BUFFER_LATENCY + TAP_SUM_LATENCY + REQUANTIZER_LATENCY;
    static_assert(WAY < 32, "a bit for each cycle");

    struct Target {
        int64_t address = 0, count = 0;
        bool last = false;
    };

    const Config &config;
    FeatureMemory &features;
    RowReader reader;
    BlockWalker walker;
    Fifo<Target> targets;
    int64_t address = 0, row_address = 0, group_address = 0;
    int64_t group = 0, pixels = 0; // words of a pixel, and pixels, that are written at a time
    int results = 0;      // in their queue
    uint32_t entered = 0; // a bit for each window on its way
    unsigned starting = 0;
    bool issue = false, written = false, ended = false;
};

} // namespace
