// LOAD: hw/transfer/load.py; what is in the ring of hw/transfer/row_ring.py takes no time but its
// three cycles.

#pragma once

#include "control.h"
#include "features.h"

namespace {

class LoadEngine {
public:
    LoadEngine(const Config &config, FeatureMemory &features)
        : config(config), features(features), word_bytes(config.dram_bytes_per_cycle),
          chunk_bytes(std::max(config.dram_bytes_per_cycle, config.lanes)),
          post_words(config.lanes / config.rows) {}

    EngineControl control;
    ReadClient client;
    bool finish = false;
    Activity activity = IDLE;

    void settle(const Instruction *offered, bool word) {
        client = {};
        if (control.idle(offered)) {
            activity = IDLE;
            finish = false;
            return;
        }
        client.request = asking;
        client.offset = asked_word;
        client.length = asked_length;
        client.ready = receiving && (room > 0 || windows_left == 0);
        came = word && client.ready;
        write_ready = features.ready(LOAD_WRITE);
        moves = writes.ready();
        bool there = !receiving || bytes_left <= 0 || ahead >= config.lanes;
        issue = open && windows_left != 0 && there && moves;
        row_finished = open && windows_left == 0 && !receiving && (!stages[0].valid || moves);
        bool empty = !stages[0].valid && !stages[1].valid && !stages[2].valid && !writes.valid();
        finish = control.running && done && empty && !features.pending(LOAD_WRITE);
        Activity own = BUSY;
        if (!issue && !came && !row_finished) {
            if (!moves)
                own = WAIT_FEATURE;
            else if (receiving)
                own = WAIT_DRAM;
        }
        activity = control.activity(offered, own);
    }

    void clock(const Instruction *offered, bool request_ready) {
        if (control.idle(offered))
            return;
        const Instruction *op = control.op;
        bool starts = control.starts();
        if (asking) {
            asking = !request_ready;
        } else if (rows_to_request) {
            asking = true;
            asked_word = request_start / word_bytes;
            asked_length = (request_start % word_bytes + op->row_bytes + word_bytes - 1) / word_bytes;
            rows_to_request--;
            request_start = (request_start + op->dram_pitch) & 0xFFFFFFFF;
        }

        if (writes.valid() && write_ready)
            features.ask(LOAD_WRITE, banks(config, write.address, write.count));
        // The write that is offered is the oldest that is in the slice.
        if (writes.valid() && write_ready)
            write = next_write;
        if (stages[2].valid && moves) {
            next_write = stages[2];
            if (!writes.valid() || write_ready)
                write = next_write;
        }
        writes.clock(stages[2].valid, write_ready);
        if (moves) {
            stages[2] = stages[1];
            stages[1] = stages[0];
            stages[0] = {issue, address, std::min(words_left, post_words)};
        }

        // What is wanted no more makes room some cycles later.
        int64_t wanted = std::max<int64_t>(0, std::min(position, next_window)) / chunk_bytes;
        room += gained * (chunk_bytes / word_bytes) - came;
        gained = keep - kept;
        kept = keep;
        keep = wanted;
        bool ends_window = words_left <= post_words;
        ahead += came * word_bytes;
        if (came && --to_receive == 0)
            receiving = false;
        if (issue) {
            ahead -= ends_window ? next_window - position : config.lanes;
            address += std::min(words_left, post_words);
            position += config.lanes;
            bytes_left -= config.lanes;
            words_left -= post_words;
            if (ends_window) {
                position = next_window;
                next_window += op->window_step;
                bytes_left = op->window_bytes;
                words_left = op->window_words;
                windows_left--;
            }
        }
        bool opens_next = starting;
        if (row_finished) {
            open = false;
            opens_next = rows_left != 1;
            done = rows_left == 1;
            rows_left--;
        }
        if (opens)
            open_row();
        opens = opens_next;
        starting = starts;
        if (starts) {
            rows_to_request = rows_left = op->rows;
            done = false;
            request_start = op->dram;
            next_begin = op->dram % word_bytes;
            row_address = op->out_base - op->out_pitch;
        }
        control.clock(offered, finish);
    }

private:
    struct Write {
        bool valid = false;
        int64_t address = 0, count = 0;
    };

    void open_row() {
        const Instruction *op = control.op;
        open = receiving = true;
        to_receive = (next_begin + op->row_bytes + word_bytes - 1) / word_bytes;
        position = next_begin - op->window_lead;
        next_window = position + op->window_step;
        ahead = -position;
        bytes_left = op->window_bytes;
        words_left = op->window_words;
        windows_left = op->windows;
        room = RING_CHUNKS * chunk_bytes / word_bytes;
        keep = kept = gained = 0;
        next_begin = (next_begin + op->dram_pitch) % word_bytes;
        row_address = address = row_address + op->out_pitch;
    }

    const Config &config;
    FeatureMemory &features;
    int64_t word_bytes, chunk_bytes, post_words;
    int64_t rows_to_request = 0, request_start = 0, asked_word = 0, asked_length = 0;
    int64_t next_begin = 0, to_receive = 0, position = 0, next_window = 0, ahead = 0;
    int64_t bytes_left = 0, words_left = 0, windows_left = 0, rows_left = 0;
    int64_t room = 0, keep = 0, kept = 0, gained = 0;
    int64_t row_address = 0, address = 0;
    Write stages[3], write, next_write;
    RegisterSlice writes;
    bool asking = false, starting = false, opens = false, open = false, done = true;
    bool receiving = false, moves = true, write_ready = false;
    bool came = false, row_finished = false, issue = false;
};

} // namespace
