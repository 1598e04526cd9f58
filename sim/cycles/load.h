// LOAD: hw/transfer/load.py; what is in the ring of hw/transfer/row_ring.py takes no time.

#pragma once

#include "control.h"

namespace {

class LoadEngine {
public:
    explicit LoadEngine(const Config &config)
        : config(config), word_bytes(config.dram_bytes_per_cycle),
          chunk_bytes(std::max(config.dram_bytes_per_cycle, config.lanes)),
          post_words(config.lanes / config.rows) {}

    EngineControl control;
    ReadClient client;
    bool finish = false;
    uint32_t write_banks = 0;
    Activity activity = IDLE;

    void offer_write() {
        write_banks = write.valid ? banks(config, write.address, write.count) : 0;
    }

    void settle(const Instruction *offered, bool word, bool write_ready) {
        client = {};
        if (control.idle(offered)) {
            activity = IDLE;
            finish = false;
            return;
        }
        client.request = rows_to_request != 0;
        client.offset = request_start / word_bytes;
        if (client.request)
            client.length =
                (request_start % word_bytes + control.op->row_bytes + word_bytes - 1) / word_bytes;
        all_received = received * word_bytes >= end;
        row_finished = rows_left != 0 && windows_left == 0 && all_received;
        int64_t keep = std::min(position, next_window);
        int64_t below = keep < 0 ? chunk_bytes - 1 : 0; // rounds down
        int64_t kept_chunk = (keep - below) / chunk_bytes;
        client.ready = rows_left != 0 && !all_received &&
                       (windows_left == 0 ||
                        received * word_bytes / chunk_bytes < kept_chunk + RING_CHUNKS);
        came = word && client.ready;
        bool there = all_received || bytes_left <= 0 ||
                     position + config.lanes <= received * word_bytes;
        free = !write.valid || write_ready;
        issue = windows_left != 0 && there && free;
        finish = control.running && rows_left == 0 && !read.valid && free;
        Activity own = BUSY;
        if (!issue && !came && !row_finished) {
            if (write.valid && !write_ready)
                own = WAIT_FEATURE;
            else if (rows_left != 0 && !all_received)
                own = WAIT_DRAM;
        }
        activity = control.activity(offered, own);
    }

    void clock(const Instruction *offered, bool request_ready) {
        if (control.idle(offered))
            return;
        const Instruction *op = control.op;
        bool starts = control.starts();
        if (client.request && request_ready) {
            rows_to_request--;
            request_start = (request_start + op->dram_pitch) & 0xFFFFFFFF;
        }
        if (free) {
            write = read;
            read = {issue, address, std::min(words_left, post_words)};
        }
        received += came;
        if (issue) {
            bool ends_window = words_left <= post_words;
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
        if (starts) {
            rows_to_request = rows_left = op->rows;
            request_start = op->dram;
            open_row(op->dram % word_bytes, op->out_base);
        } else if (row_finished && rows_left-- != 1) {
            open_row((begin + op->dram_pitch) % word_bytes, row_address + op->out_pitch);
        }
        control.clock(offered, finish);
    }

private:
    struct Write {
        bool valid = false;
        int64_t address = 0, count = 0;
    };

    void open_row(int64_t first_byte, int64_t first_word) {
        const Instruction *op = control.op;
        begin = first_byte;
        end = begin + op->row_bytes;
        received = 0;
        position = begin - op->window_lead;
        next_window = position + op->window_step;
        bytes_left = op->window_bytes;
        words_left = op->window_words;
        windows_left = op->windows;
        row_address = address = first_word;
    }

    const Config &config;
    int64_t word_bytes, chunk_bytes, post_words;
    int64_t rows_to_request = 0, request_start = 0;
    int64_t begin = 0, end = 0, received = 0, position = 0, next_window = 0;
    int64_t bytes_left = 0, words_left = 0, windows_left = 0, rows_left = 0;
    int64_t row_address = 0, address = 0;
    Write read, write;
    bool all_received = false, row_finished = false, came = false, free = false, issue = false;
};

} // namespace
