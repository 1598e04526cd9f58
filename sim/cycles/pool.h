// POOL: hw/pool/window_walker.py, hw/pool/mean.py, hw/pool/group_writer.py, and hw/pool/pool_engine.py around them.

#pragma once

#include "control.h"
#include "features.h"

namespace {

// A window of a MAX_POOL; a MEAN is one window over the whole input.
struct Walk {
    explicit Walk(const Instruction *op, const Config &config) {
        mean = op->opcode == OPCODE_MEAN;
        words = op->in_words;
        in_step = mean ? words : op->in_step;
        out_step = mean ? words : op->out_step;
        group = config.lanes / config.rows;
        in_base = op->in_base;
        in_pitch = op->in_pitch;
        in_height = op->in_height;
        in_width = op->in_width;
        kernel_height = mean ? in_height : op->kernel_height;
        kernel_width = mean ? in_width : op->kernel_width;
        stride = mean ? 1 : op->stride;
        pad_top = mean ? 0 : op->pad_top;
        pad_left = mean ? 0 : op->pad_left;
        width = mean ? 1 : op->out_width;
        height = mean ? 1 : op->out_height;
        base = op->out_base;
        pitch = mean ? 0 : op->out_pitch;
        side = 1;
        while (!mean && in_step == words && 2 * side * words <= group)
            side *= 2;
        if (side > 1 && (words & (words - 1)))
            side = 1;
    }
    Walk() = default;

    bool mean = false;
    int64_t words = 0, in_step = 0, out_step = 0, group = 0, width = 0, height = 0, base = 0, pitch = 0;
    int64_t in_base = 0, in_pitch = 0, in_height = 0, in_width = 0;
    int64_t kernel_height = 0, kernel_width = 0, stride = 0, pad_top = 0, pad_left = 0;
    int64_t side = 1; // input pixels that are read together
};

// The walk, and the register of the request that it has come to.
class WindowWalker {
public:
    explicit WindowWalker(const Config &config) : config(config) {}

    bool valid = false, last_tap = false; // a request; whether it is the last of its window
    uint32_t banks_wanted = 0;            // of the feature memory; none outside of the input

    void start(const Walk &new_walk) {
        walk = new_walk;
        row = column = word = tap_x = tap_y = 0;
        preparation = POOL_PREPARATION;
    }

    void clock(bool taken) {
        if (!valid || taken) {
            valid = walking;
            if (walking)
                step();
        }
        if (preparation && --preparation == 0)
            walking = true;
    }

private:
    void step() {
        banks_wanted = wanted();
        last_tap = tap_x + walk.side >= walk.kernel_width && tap_y == walk.kernel_height - 1;
        tap_x += walk.side;
        if (tap_x < walk.kernel_width)
            return;
        tap_x = 0;
        if (++tap_y < walk.kernel_height)
            return;
        tap_y = 0;
        word += walk.group;
        if (word < walk.words)
            return;
        word = 0;
        if (++column < walk.width)
            return;
        column = 0;
        walking = ++row < walk.height;
    }

    uint32_t wanted() const {
        int64_t y = row * walk.stride - walk.pad_top + tap_y;
        if (y < 0 || y >= walk.in_height)
            return 0;
        uint32_t result = 0;
        for (int64_t tap = 0; tap < walk.side && tap_x + tap < walk.kernel_width; tap++) {
            int64_t x = column * walk.stride - walk.pad_left + tap_x + tap;
            if (x >= 0 && x < walk.in_width)
                result |= banks(config, walk.in_base + y * walk.in_pitch + x * walk.in_step + word,
                                std::min(walk.words - word, walk.group));
        }
        return result;
    }

    const Config &config;
    Walk walk;
    bool walking = false;
    int preparation = 0;
    int64_t row = 0, column = 0, word = 0, tap_x = 0, tap_y = 0;
};

class MeanUnit {
public:
    explicit MeanUnit(const Config &config) : lanes(config.lanes) {}

    bool busy = false;
    bool result() const { return busy && to_collect == 0; }

    void clock(bool last_pixel, bool result_taken) {
        bool collects = in_flight >> (MEAN_PIPELINE - 1) & 1;
        in_flight = in_flight << 1 | uint64_t(to_send != 0);
        to_send -= to_send != 0;
        to_collect -= collects;
        if (result() && result_taken)
            busy = false;
        if (last_pixel) {
            busy = true;
            to_send = to_collect = lanes;
        }
    }

private:
    int64_t lanes, to_send = 0, to_collect = 0;
    uint64_t in_flight = 0;
};

class GroupWriter {
public:
    explicit GroupWriter(const Config &config) : post_words(config.lanes / config.rows) {}

    bool valid() const { return held != 0; }
    int64_t address = 0;
    int64_t count() const { return std::min(held, post_words); }
    bool ready(bool written) const { return !valid() || (written && ends_group()); }
    bool finished(bool written) const {
        return written && ends_group() && ends_pixel && columns_left == 1 && rows_left == 1;
    }

    void start(const Walk &new_walk) {
        walk = new_walk;
        words_left = walk.words;
        columns_left = walk.width;
        rows_left = walk.height;
        address = row_address = walk.base;
    }

    void clock(bool written, bool group_taken) {
        if (written) {
            bool pixel_ends = ends_group() && ends_pixel;
            int64_t gone = count();
            address += gone + (pixel_ends ? walk.out_step - walk.words : 0);
            held -= gone;
            if (pixel_ends && columns_left-- == 1) {
                columns_left = walk.width;
                rows_left--;
                address = row_address += walk.pitch;
            }
        }
        if (group_taken) {
            ends_pixel = words_left <= walk.group;
            held = ends_pixel ? words_left : walk.group;
            words_left = ends_pixel ? walk.words : words_left - walk.group;
        }
    }

private:
    bool ends_group() const { return held <= post_words; }

    int64_t post_words;
    Walk walk;
    int64_t held = 0, words_left = 0, columns_left = 0, rows_left = 0, row_address = 0;
    bool ends_pixel = false;
};

class PoolEngine {
public:
    PoolEngine(const Config &config, FeatureMemory &features)
        : config(config), features(features), walker(config), mean_unit(config), writer(config),
          tags(FEATURE_READS) {}

    EngineControl control;
    bool finish = false;
    Activity activity = IDLE;

    void settle(const Instruction *offered) {
        if (control.idle(offered)) {
            activity = IDLE;
            finish = false;
            return;
        }
        written = writer.valid() && features.ready(POOL_WRITE);
        last = answer_held && last_held;
        bool writer_ready = writer.ready(written);
        bool ready = walk.mean ? !last || !mean_unit.busy : !last || writer_ready;
        came = answer_held && ready;
        takes = features.answer(POOL_READ) && (!answer_held || came);
        group_taken = writer_ready && (walk.mean ? mean_unit.result() : last);
        finish = control.running && ended && !features.pending(POOL_WRITE);
        bool computing = mean_unit.busy && !writer.valid();
        activity = control.activity(offered, came || written || computing ? BUSY : WAIT_FEATURE);
    }

    void clock(const Instruction *offered) {
        if (control.idle(offered))
            return;
        if (written)
            features.ask(POOL_WRITE, banks(config, writer.address, writer.count()));
        bool asked = walker.valid && features.ready(POOL_READ);
        if (asked)
            features.ask(POOL_READ, walker.banks_wanted);
        if (takes) {
            features.take(POOL_READ);
            last_held = tags.front();
        }
        answer_held = takes || (answer_held && !came);
        ended = writer.finished(written) || (ended && !finish);
        mean_unit.clock(walk.mean && came && last, walk.mean && group_taken);
        writer.clock(written, group_taken);
        tags.clock(asked, takes, walker.last_tap);
        walker.clock(asked);
        if (control.starts()) {
            walk = Walk(control.op, config);
            walker.start(walk);
            writer.start(walk);
        }
        control.clock(offered, finish);
    }

private:
    const Config &config;
    FeatureMemory &features;
    Walk walk;
    WindowWalker walker;
    MeanUnit mean_unit;
    GroupWriter writer;
    Fifo<char> tags; // of what is read: whether it is the last of its window
    bool answer_held = false, last_held = false; // the register behind the queue of the answers
    bool written = false, came = false, takes = false, group_taken = false, last = false, ended = false;
};

} // namespace
