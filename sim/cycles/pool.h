// POOL: hw/pool/window_walker.py, hw/pool/mean.py, hw/pool/group_writer.py, and hw/pool/pool_engine.py around them.

#pragma once

#include "control.h"

namespace {

// A window of a MAX_POOL; a MEAN is one window over the whole input.
struct Walk {
    explicit Walk(const Instruction *op, const Config &config) {
        mean = op->opcode == OPCODE_MEAN;
        words = op->in_words;
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
        while (!mean && 2 * side * words <= group)
            side *= 2;
        if (side > 1 && (words & (words - 1)))
            side = 1;
    }
    Walk() = default;

    bool mean = false;
    int64_t words = 0, group = 0, width = 0, height = 0, base = 0, pitch = 0;
    int64_t in_base = 0, in_pitch = 0, in_height = 0, in_width = 0;
    int64_t kernel_height = 0, kernel_width = 0, stride = 0, pad_top = 0, pad_left = 0;
    int64_t side = 1; // input pixels that are read together
};

class WindowWalker {
public:
    explicit WindowWalker(const Config &config) : config(config) {}

    bool valid = false;
    bool last_tap() const {
        return tap_x + walk.side >= walk.kernel_width && tap_y == walk.kernel_height - 1;
    }

    // The banks of the feature memory that it wants to read; none outside of the input.
    uint32_t banks_wanted() const {
        int64_t y = row * walk.stride - walk.pad_top + tap_y;
        if (y < 0 || y >= walk.in_height)
            return 0;
        uint32_t wanted = 0;
        for (int64_t tap = 0; tap < walk.side && tap_x + tap < walk.kernel_width; tap++) {
            int64_t x = column * walk.stride - walk.pad_left + tap_x + tap;
            if (x >= 0 && x < walk.in_width)
                wanted |= banks(config, walk.in_base + y * walk.in_pitch + x * walk.words + word,
                                std::min(walk.words - word, walk.group));
        }
        return wanted;
    }

    void start(const Walk &new_walk) {
        walk = new_walk;
        row = column = word = tap_x = tap_y = 0;
        valid = true;
    }

    void take() {
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
        valid = ++row < walk.height;
    }

private:
    const Config &config;
    Walk walk;
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
            address += gone;
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
    explicit PoolEngine(const Config &config)
        : config(config), walker(config), mean_unit(config), writer(config) {}

    EngineControl control;
    bool finish = false;
    bool asked = false; // words, in this cycle
    uint32_t write_banks = 0, read_banks = 0;
    Activity activity = IDLE;

    // What is written and read is known from the state,
    void offer() {
        write_banks = writer.valid() ? banks(config, writer.address, writer.count()) : 0;
        read_banks = walker.valid ? walker.banks_wanted() : 0;
    }

    // the rest once it is known what others take of the feature memory.
    void settle(const Instruction *offered, bool write_ready, bool read_free) {
        if (control.idle(offered)) {
            activity = IDLE;
            finish = asked = false;
            return;
        }
        written = writer.valid() && write_ready;
        bool writer_ready = writer.ready(written);
        ready = walk.mean ? !mean_unit.busy : !last || writer_ready;
        came = buffer.valid() && ready;
        group_taken = writer_ready && (walk.mean ? mean_unit.result() : buffer.valid() && last);
        asked = walker.valid && buffer.room(ready) && read_free;
        finish = writer.finished(written);
        bool computing = mean_unit.busy && !writer.valid();
        activity = control.activity(offered, came || written || computing ? BUSY : WAIT_FEATURE);
    }

    void clock(const Instruction *offered) {
        if (control.idle(offered))
            return;
        mean_unit.clock(walk.mean && came && last, walk.mean && group_taken);
        writer.clock(written, group_taken);
        if (asked)
            last = walker.last_tap();
        buffer.clock(asked, ready);
        if (asked)
            walker.take();
        if (control.starts()) {
            walk = Walk(control.op, config);
            walker.start(walk);
            writer.start(walk);
        }
        control.clock(offered, finish);
    }

private:
    const Config &config;
    Walk walk;
    WindowWalker walker;
    MeanUnit mean_unit;
    GroupWriter writer;
    SkidBuffer buffer; // of the window's answer, in the feature memory
    bool last = false; // tap of its window, of that answer
    bool written = false, ready = false, came = false, group_taken = false;
};

} // namespace
